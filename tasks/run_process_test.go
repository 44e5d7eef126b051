package tasks_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hibiken/asynq"
	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/deploy/testenv"
	"github.com/paidui/paidui/tasks"
	"github.com/paidui/paidui/tasks/broker"
	"github.com/paidui/paidui/tasks/taskstest"
)

func TestRetriesThenSucceeds(t *testing.T) {
	onEachBroker(t, func(t *testing.T, b *broker.Broker) {
		client, m := tasks.NewClient(b), mux()
		var attempts []int
		tasks.Handle(m, quick, func(ctx context.Context, _ pair) (int, error) {
			task := tasks.Current(ctx)
			attempts = append(attempts, task.Attempt)
			if task.Attempt <= task.MaxRetries {
				return 0, errors.New("not yet")
			}
			return task.Attempt, nil
		})
		taskstest.Serve(t, b, m, "default")
		res, err := quick.Enqueue(t.Context(), client, pair{})
		require.NoError(t, err)
		value, err := res.Get(testenv.Soon(t))
		require.NoError(t, err)
		require.Equal(t, 3, value)
		require.Equal(t, []int{1, 2, 3}, attempts)
	})
}

func TestFinalFailureIsAnnouncedOnce(t *testing.T) {
	for name, c := range map[string]struct {
		opts     []tasks.Option
		err      error
		attempts int32
	}{
		"no retries":        {[]tasks.Option{tasks.MaxRetries(0)}, errors.New("x"), 1},
		"retries exhausted": {nil, errors.New("x"), 3},
		"permanent":         {nil, fmt.Errorf("outer: %w", tasks.Permanent(errors.New("x"))), 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := taskstest.Embedded(t)
			client, m := tasks.NewClient(b), mux()
			var attempts, hooks atomic.Int32
			tasks.Handle(m, quick, func(context.Context, pair) (int, error) {
				attempts.Add(1)
				return 0, c.err
			}, tasks.FailureHook(func(ctx context.Context, a pair, cause error) error {
				hooks.Add(1)
				if a.N != 5 || !errors.Is(cause, c.err) || tasks.Current(ctx).Name != "test.quick" {
					return fmt.Errorf("hook got %+v and %w", a, cause)
				}
				return nil
			}))
			taskstest.Serve(t, b, m, "default")
			res, err := quick.Enqueue(t.Context(), client, pair{N: 5}, c.opts...)
			require.NoError(t, err)
			_, err = res.Get(testenv.Soon(t))
			var failure *tasks.FailureError
			require.ErrorAs(t, err, &failure)
			require.Equal(t, c.attempts, attempts.Load())
			require.Equal(t, int32(1), hooks.Load())
		})
	}
}

// TestBadArgumentsFailAtOnce puts arguments into the queue that no typed call could have made.
func TestBadArgumentsFailAtOnce(t *testing.T) {
	t.Parallel()
	b := taskstest.Embedded(t)
	client, m := tasks.NewClient(b), mux()
	tasks.Handle(m, sum, func(context.Context, pair) (int, error) { return 0, nil })
	taskstest.Serve(t, b, m, "default")
	plain := asynq.NewClientFromRedisClient(b.Redis())
	for payload, want := range map[string]string{
		`{"n":"ten"}`:     "arguments: n: wants an integer, not the string",
		`{"n":1,"q":2}`:   "arguments: q: unknown field",
		`{"N":1}`:         "arguments: N: unknown field",
		`{"n":1,"n":2}`:   "arguments: n: is given twice",
		`{"n":1} {"n":2}`: "not one JSON value",
		`{"n":`:           "not one JSON value",
		`null`:            "null",
		`[1,2]`:           "wants an object, not the array",
		`{"n":1e99}`:      "n: wants an integer",
		`{"n":1.5}`:       "n: wants an integer",
		"\x00":            "not one JSON value",
	} {
		id := tasks.NewID("default")
		_, err := plain.Enqueue(asynq.NewTask("test.sum", []byte(payload)), asynq.TaskID(id), asynq.MaxRetry(10))
		require.NoError(t, err)
		require.NoError(t, b.Ring(t.Context(), "default"))
		_, err = sum.Result(client, id).Get(testenv.Soon(t))
		var failure *tasks.FailureError
		require.ErrorAs(t, err, &failure, payload)
		require.Contains(t, failure.Msg, want)
		info, err := client.Info(t.Context(), id)
		require.NoError(t, err)
		require.Zero(t, info.Retries)
	}
}

func TestTimeout(t *testing.T) {
	t.Parallel()
	b := taskstest.Embedded(t)
	client, m := tasks.NewClient(b), mux()
	tasks.Handle(m, quick, func(ctx context.Context, _ pair) (int, error) {
		<-ctx.Done()
		return 0, ctx.Err()
	})
	taskstest.Serve(t, b, m, "default")
	res, err := quick.Enqueue(t.Context(), client, pair{}, tasks.Timeout(20*time.Millisecond), tasks.MaxRetries(0))
	require.NoError(t, err)
	_, err = res.Get(testenv.Soon(t))
	require.ErrorContains(t, err, "timed out after 20ms")
}

// TestNeverEarly: asynq stores whole seconds, rounded down; tasks still wait their full time, and hardly more.
func TestNeverEarly(t *testing.T) {
	onEachBroker(t, func(t *testing.T, b *broker.Broker) {
		client, m := tasks.NewClient(b), mux()
		type due struct {
			Unix int64 `json:"unix"` // nanoseconds
		}
		delayed := tasks.Define[due, int64]("test.delayed")
		tasks.Handle(m, delayed, func(_ context.Context, d due) (int64, error) {
			return time.Now().UnixNano() - d.Unix, nil
		})
		taskstest.Serve(t, b, m, "default")
		var all []*tasks.Result[int64]
		for i := range 60 {
			wait := time.Duration(rand.Int64N(int64(3 * time.Second)))
			eta := time.Now().Add(wait)
			opt := tasks.ETA(eta)
			if i%2 == 0 {
				opt = tasks.Countdown(wait)
			}
			res, err := delayed.Enqueue(t.Context(), client, due{eta.UnixNano()}, opt)
			require.NoError(t, err)
			all = append(all, res)
		}
		stragglers := 0
		for _, res := range all {
			late, err := res.Get(testenv.Soon(t))
			require.NoError(t, err)
			require.GreaterOrEqual(t, late, int64(0), "nanoseconds late")
			require.Less(t, time.Duration(late), 20*time.Second)
			if time.Duration(late) > 1200*time.Millisecond {
				stragglers++
			}
		}
		require.LessOrEqual(t, stragglers, len(all)/2, "later than 1.2 s; a busy machine may hold some up")
	})
}

// TestResultThatIsNotStoredCostsNoRetry takes Redis away between the handler's return and the result.
func TestResultThatIsNotStoredCostsNoRetry(t *testing.T) {
	t.Parallel()
	server := testenv.Redis(t, testenv.WithArgs("--appendonly", "yes", "--appendfsync", "always"))
	b := taskstest.Broker(t, server.URL(0))
	client, m := tasks.NewClient(b), mux()
	var runs atomic.Int32
	returning, away := make(chan struct{}), make(chan struct{})
	tasks.Handle(m, quick, func(context.Context, pair) (int, error) {
		if runs.Add(1) == 1 {
			close(returning)
			<-away
		}
		return 7, nil
	}, tasks.FailureHook(func(context.Context, pair, error) error {
		t.Error("it did not fail")
		return nil
	}))
	taskstest.Serve(t, b, m, "default")
	res, err := quick.Enqueue(t.Context(), client, pair{}, tasks.MaxRetries(0))
	require.NoError(t, err)
	<-returning
	server.Kill()
	close(away)
	<-time.After(300 * time.Millisecond) // some tries fail
	server.Start()
	require.Eventually(t, func() bool {
		value, err := res.Peek(t.Context())
		return err == nil && value == 7
	}, 20*time.Second, 10*time.Millisecond)
	require.Equal(t, int32(1), runs.Load())
}
