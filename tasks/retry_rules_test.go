package tasks_test

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/tasks"
	"github.com/paidui/paidui/tasks/taskstest"
)

func TestRetryRulesBelongToDefinitions(t *testing.T) {
	t.Parallel()
	client := tasks.NewClient(taskstest.Embedded(t))
	for field, opt := range map[string]tasks.Option{
		"retry_only_for":  tasks.RetryOnlyFor(tasks.ErrorIs(errors.ErrUnsupported)),
		"never_retry_for": tasks.NeverRetryFor(tasks.ErrorAs[*tasks.PanicError]()),
		"backoff_func":    tasks.BackoffFunc(func(int, error) time.Duration { return 0 }),
	} {
		_, err := sum.Enqueue(t.Context(), client, pair{}, opt)
		var wrong *tasks.OptionError
		require.ErrorAs(t, err, &wrong)
		require.Equal(t, field, wrong.Field)
		require.NotPanics(t, func() { tasks.Define[pair, int]("test.rules", opt) })
	}
}
