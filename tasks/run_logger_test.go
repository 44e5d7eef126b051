package tasks_test

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/deploy/testenv"
	"github.com/paidui/paidui/tasks"
	"github.com/paidui/paidui/tasks/taskstest"
)

// counting counts the loggers that are derived from it.
type counting struct {
	slog.Handler
	derived *atomic.Int32
}

func (c counting) WithAttrs(attrs []slog.Attr) slog.Handler {
	c.derived.Add(1)
	return counting{c.Handler.WithAttrs(attrs), c.derived}
}

func TestLoggerIsMadeWhenItIsAskedFor(t *testing.T) {
	t.Parallel()
	b := taskstest.Embedded(t)
	var log bytes.Buffer
	var derived atomic.Int32
	m := tasks.NewMux(tasks.MuxOptions{
		Logger: slog.New(counting{slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelWarn}), &derived}),
	})
	client := tasks.NewClient(b)
	tasks.Handle(m, sum, func(ctx context.Context, a pair) (int, error) {
		task := tasks.Current(ctx)
		if a.N == 0 {
			return int(derived.Load()), nil
		}
		var all sync.WaitGroup
		loggers := make([]*slog.Logger, 8)
		for i := range loggers {
			all.Go(func() { loggers[i] = task.Logger() })
		}
		all.Wait()
		for _, l := range loggers {
			if l != loggers[0] {
				return 0, tasks.Permanent(context.Canceled)
			}
		}
		task.Logger().Warn("hello")
		return 1, nil
	})
	taskstest.Serve(t, b, m, "default")

	silent, err := sum.Enqueue(t.Context(), client, pair{})
	require.NoError(t, err)
	made, err := silent.Get(testenv.Soon(t))
	require.NoError(t, err)
	require.Zero(t, made, "nobody has asked for a logger")

	for id, want := range map[string]map[string]any{
		"plain":   {"task_id": "plain", "task": "test.sum", "attempt": 1.0},
		"request": {"task_id": "request", "task": "test.sum", "attempt": 1.0, "request_id": "req-7"},
	} {
		ctx := t.Context()
		if want["request_id"] != nil {
			ctx = tasks.WithRequestID(ctx, "req-7")
		}
		log.Reset()
		res, err := sum.Enqueue(ctx, client, pair{N: 1}, tasks.ID(id))
		require.NoError(t, err)
		same, err := res.Get(testenv.Soon(t))
		require.NoError(t, err)
		require.Equal(t, 1, same, "all callers get the same logger")
		got := map[string]any{}
		require.NoError(t, json.Unmarshal(log.Bytes(), &got), log.String())
		delete(got, "time")
		want["level"], want["msg"] = "WARN", "hello"
		require.Equal(t, want, got)
	}
}
