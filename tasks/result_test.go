package tasks_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/hibiken/asynq"
	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/deploy/testenv"
	"github.com/paidui/paidui/tasks"
	"github.com/paidui/paidui/tasks/broker"
	"github.com/paidui/paidui/tasks/taskstest"
)

func TestResultComesBackTyped(t *testing.T) {
	onEachBroker(t, func(t *testing.T, b *broker.Broker) {
		client, m := tasks.NewClient(b), mux()
		tasks.Handle(m, sum, func(_ context.Context, a pair) (int, error) { return a.N + a.M, nil })

		res, err := sum.Enqueue(t.Context(), client, pair{N: 10, M: 20})
		require.NoError(t, err)
		require.Regexp(t, `^default_[0-9a-f]{8}-[0-9a-f]{4}-7`, res.ID())
		state, err := res.State(t.Context())
		require.NoError(t, err)
		require.Equal(t, tasks.StatePending, state)
		_, err = res.Peek(t.Context())
		require.ErrorIs(t, err, tasks.ErrNotReady)

		taskstest.Serve(t, b, m, "default")
		value, err := res.Get(testenv.Soon(t))
		require.NoError(t, err)
		require.Equal(t, 30, value)
		info, err := client.Info(t.Context(), res.ID())
		require.NoError(t, err)
		require.Equal(t, tasks.StateSuccess, info.State)
		require.JSONEq(t, `{"n":10,"m":20}`, string(info.Args))
		require.NotNil(t, info.EnqueuedAt)
		require.NotNil(t, info.CompletedAt)
	})
}

func TestOutcomesAreToldApart(t *testing.T) {
	onEachBroker(t, func(t *testing.T, b *broker.Broker) {
		client, m := tasks.NewClient(b), mux()
		tasks.Handle(m, quick, func(_ context.Context, a pair) (int, error) { return 0, fmt.Errorf("no luck with %d", a.N) })

		for _, id := range []string{"default_0192d9a0-0000-7000-8000-000000000000", "nobody", "with space", "a/b", strings.Repeat("x", 200), ""} {
			_, err := quick.Result(client, id).Get(t.Context())
			require.ErrorIs(t, err, tasks.ErrNotFound, id)
		}
		failing, err := quick.Enqueue(t.Context(), client, pair{N: 7})
		require.NoError(t, err)
		late, err := quick.Enqueue(t.Context(), client, pair{}, tasks.ExpiresIn(time.Millisecond))
		require.NoError(t, err)
		<-time.After(2 * time.Millisecond)

		taskstest.Serve(t, b, m, "default")
		_, err = failing.Get(testenv.Soon(t))
		var failure *tasks.FailureError
		require.ErrorAs(t, err, &failure)
		require.Equal(t, failing.ID(), failure.ID)
		require.Equal(t, "no luck with 7", failure.Msg)
		info, err := client.Info(t.Context(), failing.ID())
		require.NoError(t, err)
		require.Equal(t, 2, info.Retries)
		require.Equal(t, 2, info.MaxRetries)

		_, err = late.Get(testenv.Soon(t))
		require.ErrorIs(t, err, tasks.ErrRevoked)
		require.ErrorContains(t, err, "expired")
		state, err := late.State(t.Context())
		require.NoError(t, err)
		require.Equal(t, tasks.StateRevoked, state)
	})
}

func TestGetEndsWithItsContext(t *testing.T) {
	t.Parallel()
	b := taskstest.Embedded(t)
	client := tasks.NewClient(b)
	res, err := sum.Enqueue(t.Context(), client, pair{})
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	_, err = res.Get(ctx)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	var info *tasks.Info
	for limit := 30 * time.Millisecond; info == nil; limit *= 2 { // a machine that stands still sees nothing in the first
		ctx, cancel := context.WithTimeout(t.Context(), limit)
		info, err = client.Wait(ctx, res.ID())
		cancel()
		require.ErrorIs(t, err, context.DeadlineExceeded)
	}
	require.Equal(t, tasks.StatePending, info.State, "the last state seen")
}

func TestResultBounds(t *testing.T) {
	t.Parallel()
	const fitting = 64<<10 - 2 // with its quotes
	b := taskstest.Embedded(t)
	client, m := tasks.NewClient(b), mux()
	long := tasks.Define[pair, string]("test.long")
	tasks.Handle(m, long, func(_ context.Context, a pair) (string, error) { return strings.Repeat("x", a.N), nil })
	taskstest.Serve(t, b, m, "default")
	fits, err := long.Enqueue(t.Context(), client, pair{N: fitting})
	require.NoError(t, err)
	tooLong, err := long.Enqueue(t.Context(), client, pair{N: fitting + 1})
	require.NoError(t, err)
	gone, err := long.Enqueue(t.Context(), client, pair{N: 1}, tasks.Retention(0))
	require.NoError(t, err)
	value, err := fits.Get(testenv.Soon(t))
	require.NoError(t, err)
	require.Len(t, value, fitting)
	_, err = tooLong.Get(testenv.Soon(t))
	require.ErrorContains(t, err, "65537 bytes")
	require.Eventually(t, func() bool {
		_, err := gone.State(t.Context())
		return errors.Is(err, tasks.ErrNotFound)
	}, 10*time.Second, 5*time.Millisecond)
}

func TestStatesWhileItRuns(t *testing.T) {
	onEachBroker(t, func(t *testing.T, b *broker.Broker) {
		client, m := tasks.NewClient(b), mux()
		begun, finish := make(chan struct{}), make(chan struct{})
		tasks.Handle(m, quick, func(context.Context, pair) (int, error) {
			begun <- struct{}{}
			<-finish
			return 0, errors.New("not this time")
		})
		taskstest.Serve(t, b, m, "default")
		res, err := quick.Enqueue(t.Context(), client, pair{}, tasks.Backoff(time.Hour, time.Hour), tasks.Jitter(false))
		require.NoError(t, err)
		<-begun
		state, err := res.State(t.Context())
		require.NoError(t, err)
		require.Equal(t, tasks.StateStarted, state)
		close(finish)
		require.Eventually(t, func() bool {
			state, err = res.State(t.Context())
			return err == nil && state == tasks.StateRetry
		}, 10*time.Second, time.Millisecond)
		info, err := client.Info(t.Context(), res.ID())
		require.NoError(t, err)
		require.Equal(t, "not this time", info.Error)
		require.Equal(t, 1, info.Retries)
		require.WithinDuration(t, time.Now().Add(time.Hour), *info.NextRunAt, 30*time.Second)
	})
}

// TestForeignTasksAreShown: another program may put what it likes into the queues.
func TestForeignTasksAreShown(t *testing.T) {
	t.Parallel()
	b := taskstest.Embedded(t)
	_, err := asynq.NewClientFromRedisClient(b.Redis()).Enqueue(asynq.NewTask("foreign", []byte("\xffnot JSON")), asynq.TaskID("f"))
	require.NoError(t, err)
	info, err := tasks.NewClient(b).Info(t.Context(), "f")
	require.NoError(t, err)
	_, err = json.Marshal(info)
	require.NoError(t, err)
	require.Contains(t, string(info.Args), "not JSON")
}
