package tasks_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"sync"
	"testing"

	"github.com/hibiken/asynq"
	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/deploy/testenv"
	"github.com/paidui/paidui/tasks"
	"github.com/paidui/paidui/tasks/taskstest"
)

func TestPanicIsAFailure(t *testing.T) {
	t.Parallel()
	b := taskstest.Embedded(t)
	var log bytes.Buffer
	var mu sync.Mutex
	m := tasks.NewMux(tasks.MuxOptions{Logger: slog.New(slog.NewJSONHandler(lockedWriter{&mu, &log}, nil))})
	client := tasks.NewClient(b)
	tasks.Handle(m, quick, func(_ context.Context, a pair) (int, error) {
		var none []int
		return none[a.N], nil
	})
	taskstest.Serve(t, b, m, "default")
	res, err := quick.Enqueue(tasks.WithRequestID(t.Context(), "req-1"), client, pair{N: 3}, tasks.MaxRetries(0))
	require.NoError(t, err)
	_, err = res.Get(testenv.Soon(t))
	require.ErrorContains(t, err, "index out of range [3]")
	require.NotContains(t, err.Error(), ".go:", "the stack is for the log only")
	mu.Lock()
	defer mu.Unlock()
	line := map[string]any{}
	require.NoError(t, json.Unmarshal(bytes.TrimSpace(log.Bytes()), &line))
	require.Contains(t, line["stack"], "run_mux_log_test.go:")
	require.Equal(t, res.ID(), line["task_id"])
	require.Equal(t, "req-1", line["request_id"])
	require.Equal(t, "test.quick", line["task"])
}

type lockedWriter struct {
	mu *sync.Mutex
	w  *bytes.Buffer
}

func (l lockedWriter) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}

func TestMetricsSeePanics(t *testing.T) {
	t.Parallel()
	var seen error
	watch := func(next tasks.Handler) tasks.Handler {
		return func(ctx context.Context, task *tasks.Task, args []byte) ([]byte, error) {
			result, err := next(ctx, task, args)
			seen = err
			return result, err
		}
	}
	m := tasks.NewMux(tasks.MuxOptions{Logger: testenv.Quiet(), Middleware: []tasks.Middleware{watch}})
	tasks.Handle(m, sum, func(context.Context, pair) (int, error) { panic("boom") })
	require.Error(t, m.ProcessTask(t.Context(), asynq.NewTask("test.sum", []byte(`{"n":1}`))))
	var panicked *tasks.PanicError
	require.ErrorAs(t, seen, &panicked)
	require.Equal(t, "boom", panicked.Value)
}

type privateError struct{ secret string }

func (e privateError) Error() string      { return e.secret + " is wrong" }
func (privateError) LogValue() slog.Value { return slog.StringValue("*** is wrong") }

func TestLogTakesAnErrorsOwnForm(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	m := tasks.NewMux(tasks.MuxOptions{Logger: slog.New(slog.NewTextHandler(&log, nil))})
	tasks.Handle(m, sum, func(context.Context, pair) (int, error) {
		return 0, fmt.Errorf("sending: %w", privateError{"13800138000"})
	})
	err := m.ProcessTask(t.Context(), asynq.NewTask("test.sum", []byte(`{"n":1}`)))
	require.ErrorContains(t, err, "sending: 13800138000 is wrong", "its user may know")
	require.Contains(t, log.String(), "sending: *** is wrong")
	require.NotContains(t, log.String(), "13800138000")
}

func TestInterruptedIsNoFailure(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	m := tasks.NewMux(tasks.MuxOptions{Logger: slog.New(slog.NewTextHandler(&log, nil))})
	ctx, cancel := context.WithCancel(t.Context())
	tasks.Handle(m, sum, func(ctx context.Context, _ pair) (int, error) {
		cancel() // as a worker that ends
		<-ctx.Done()
		return 0, ctx.Err()
	}, tasks.FailureHook(func(context.Context, pair, error) error {
		t.Error("it will run again")
		return nil
	}))
	err := m.ProcessTask(ctx, asynq.NewTask("test.sum", []byte(`{"n":1}`)))
	require.ErrorIs(t, err, context.Canceled)
	require.False(t, tasks.IsPermanent(err))
	require.Contains(t, log.String(), "task interrupted")
}

// TestRequestIDThatIsNoText: asynq can't read a message that is not UTF-8, nor look for lost tasks while one is there.
func TestRequestIDThatIsNoText(t *testing.T) {
	t.Parallel()
	b := taskstest.Embedded(t)
	client, m := tasks.NewClient(b), mux()
	tasks.Handle(m, sum, func(ctx context.Context, a pair) (int, error) { return len(tasks.Current(ctx).RequestID), nil })
	taskstest.Serve(t, b, m, "default")
	res, err := sum.Enqueue(tasks.WithRequestID(t.Context(), "a\xffb"), client, pair{})
	require.NoError(t, err)
	value, err := res.Get(testenv.Soon(t))
	require.NoError(t, err)
	require.Equal(t, len("a\uFFFDb"), value)
}
