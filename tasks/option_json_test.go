package tasks_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/tasks"
	"github.com/paidui/paidui/tasks/taskstest"
)

func TestOptionsOutOfRange(t *testing.T) {
	t.Parallel()
	client := tasks.NewClient(taskstest.Embedded(t))
	now := time.Now()
	for name, c := range map[string]struct {
		field string
		opts  []tasks.Option
	}{
		"queue with a space":       {"queue", []tasks.Option{tasks.Queue("a b")}},
		"queue empty":              {"queue", []tasks.Option{tasks.Queue("")}},
		"queue with a brace":       {"queue", []tasks.Option{tasks.Queue("a}b")}},
		"id with a slash":          {"id", []tasks.Option{tasks.ID("a/b")}},
		"id too long":              {"id", []tasks.Option{tasks.ID(strings.Repeat("x", 129))}},
		"countdown negative":       {"countdown", []tasks.Option{tasks.Countdown(-time.Second)}},
		"countdown of a century":   {"countdown", []tasks.Option{tasks.Countdown(100 * 366 * 24 * time.Hour)}},
		"eta in a century":         {"eta", []tasks.Option{tasks.ETA(now.AddDate(100, 0, 0))}},
		"eta and countdown":        {"eta", []tasks.Option{tasks.ETA(now.Add(time.Hour)), tasks.Countdown(time.Second)}},
		"expires before eta":       {"expires", []tasks.Option{tasks.ETA(now.Add(time.Hour)), tasks.Expires(now.Add(time.Minute))}},
		"expires before countdown": {"expires", []tasks.Option{tasks.Countdown(time.Hour), tasks.Expires(now.Add(time.Minute))}},
		"expires in the past":      {"expires", []tasks.Option{tasks.Expires(now.Add(-time.Second))}},
		"expires negative":         {"expires", []tasks.Option{tasks.ExpiresIn(-1)}},
		"retries negative":         {"max_retries", []tasks.Option{tasks.MaxRetries(-1)}},
		"retries without end":      {"max_retries", []tasks.Option{tasks.MaxRetries(10_001)}},
		"timeout zero":             {"timeout", []tasks.Option{tasks.Timeout(0)}},
		"timeout of a month":       {"timeout", []tasks.Option{tasks.Timeout(31 * 24 * time.Hour)}},
		"unique negative":          {"unique_for", []tasks.Option{tasks.UniqueFor(-1)}},
		"retention of a century":   {"retention", []tasks.Option{tasks.Retention(100 * 366 * 24 * time.Hour)}},
		"backoff negative":         {"backoff", []tasks.Option{tasks.Backoff(-1, 1)}},
		"backoff cap below base":   {"backoff", []tasks.Option{tasks.Backoff(2, 1)}},
		"expires in a century":     {"expires", []tasks.Option{tasks.Expires(now.AddDate(100, 0, 0))}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := sum.Enqueue(t.Context(), client, pair{}, c.opts...)
			var optErr *tasks.OptionError
			require.ErrorAs(t, err, &optErr)
			require.Equal(t, c.field, optErr.Field)
		})
	}
	t.Run("eta in the past runs at once", func(t *testing.T) {
		res, err := sum.Enqueue(t.Context(), client, pair{}, tasks.ETA(now.AddDate(-100, 0, 0)))
		require.NoError(t, err)
		info, err := client.Info(t.Context(), res.ID())
		require.NoError(t, err)
		require.Nil(t, info.NextRunAt)
	})
}

func TestOptionsFromJSON(t *testing.T) {
	t.Parallel()
	client := tasks.NewClient(taskstest.Embedded(t))
	enqueue := func(raw string) (*tasks.Info, error) {
		var o tasks.Options
		if err := json.Unmarshal([]byte(raw), &o); err != nil {
			return nil, err
		}
		opts, err := o.List(nil)
		if err != nil {
			return nil, err
		}
		id, err := sum.EnqueueJSON(t.Context(), client, json.RawMessage(`{"n":1}`), opts...)
		if err != nil {
			return nil, err
		}
		return client.Info(t.Context(), id)
	}
	info, err := enqueue(`{"id":"mine","queue":"low","countdown":1.5,"expires":"1m","max_retries":0,
		"backoff":{"base":"1s","cap":60,"jitter":false},"timeout":"30s","retention":"2h"}`)
	require.NoError(t, err)
	require.Equal(t, "mine", info.ID)
	require.Equal(t, "low", info.Queue)
	require.Equal(t, 0, info.MaxRetries)
	require.WithinDuration(t, info.EnqueuedAt.Add(1500*time.Millisecond), *info.ETA, 2*time.Millisecond)
	require.WithinDuration(t, info.ETA.Add(time.Minute), *info.Expires, 2*time.Millisecond)
	require.False(t, info.NextRunAt.Before(*info.ETA))
	at := time.Now().Add(time.Hour).UTC().Truncate(time.Second)
	info, err = enqueue(`{"expires":"` + at.Format(time.RFC3339) + `"}`)
	require.NoError(t, err)
	require.Equal(t, at, *info.Expires)

	for _, raw := range []string{
		`{"countdown":"soon"}`, `{"countdown":-1}`, `{"countdown":1e300}`, `{"eta":"tomorrow"}`, `{"expires":0}`,
		`{"expires":"2001-01-01T00:00:00Z"}`, `{"id":""}`, `{"retention":-1}`, `{"backoff":{"base":2,"cap":1}}`,
	} {
		_, err := enqueue(raw)
		require.Error(t, err, raw)
	}
}
