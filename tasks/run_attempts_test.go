package tasks_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hibiken/asynq"
	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/deploy/testenv"
	"github.com/paidui/paidui/tasks"
	"github.com/paidui/paidui/tasks/broker"
	"github.com/paidui/paidui/tasks/broker/fetch"
	"github.com/paidui/paidui/tasks/taskstest"
)

// outcomes are what became of a task's attempts.
func outcomes(info *tasks.Info) []string {
	var list []string
	for _, a := range info.Attempts {
		list = append(list, a.Outcome)
	}
	return list
}

func TestSnoozeCostsNoRetry(t *testing.T) {
	onEachBroker(t, func(t *testing.T, b *broker.Broker) {
		client, m := tasks.NewClient(b), mux()
		var runs atomic.Int32
		var seen []int
		tasks.Handle(m, quick, func(ctx context.Context, _ pair) (int, error) {
			seen = append(seen, tasks.Current(ctx).Attempt)
			switch runs.Add(1) {
			case 1, 2:
				return 0, tasks.Snooze(10 * time.Millisecond)
			case 3:
				return 0, tasks.RetryIn(10*time.Millisecond, errors.New("too busy"))
			}
			return 7, nil
		})
		taskstest.Serve(t, b, m, "default")
		res, err := quick.Enqueue(t.Context(), client, pair{}, tasks.MaxRetries(1))
		require.NoError(t, err)
		value, err := res.Get(testenv.Soon(t))
		require.NoError(t, err)
		require.Equal(t, 7, value)
		require.Equal(t, []int{1, 1, 1, 2}, seen)
		info, err := client.Info(t.Context(), res.ID())
		require.NoError(t, err)
		require.Equal(t, 1, info.Retries)
		require.Equal(t, []string{"snooze", "snooze", "retry", "success"}, outcomes(info))
		require.Equal(t, "too busy", info.Attempts[2].Error)
		require.Equal(t, "test", info.Attempts[0].Worker)
	})
}

func TestSnoozedTaskHasNoError(t *testing.T) {
	t.Parallel()
	b := taskstest.Embedded(t)
	client, m := tasks.NewClient(b), mux()
	tasks.Handle(m, quick, func(context.Context, pair) (int, error) { return 0, tasks.Snooze(time.Hour) })
	taskstest.Serve(t, b, m, "default")
	res, err := quick.Enqueue(t.Context(), client, pair{}, tasks.MaxRetries(0))
	require.NoError(t, err)
	var info *tasks.Info
	require.Eventually(t, func() bool {
		info, err = client.Info(t.Context(), res.ID())
		return err == nil && info.State == tasks.StateRetry
	}, 20*time.Second, 5*time.Millisecond)
	require.Empty(t, info.Error)
	require.Zero(t, info.Retries)
	require.WithinRange(t, *info.NextRunAt, info.EnqueuedAt.Add(time.Hour), time.Now().Add(time.Hour+2*time.Second))
}

func TestRetryRulesOfADefinition(t *testing.T) {
	t.Parallel()
	b := taskstest.Embedded(t)
	client, m := tasks.NewClient(b), mux()
	choosy := tasks.Define[pair, int]("test.choosy", tasks.RetryOnlyFor(tasks.ErrorIs(context.DeadlineExceeded)),
		tasks.BackoffFunc(func(int, error) time.Duration { return 0 }))
	tasks.Handle(m, choosy, func(ctx context.Context, a pair) (int, error) {
		if a.N == 0 {
			return 0, errors.New("bad news")
		}
		if tasks.Current(ctx).Attempt == 1 {
			<-ctx.Done()
			return 0, ctx.Err()
		}
		return 1, nil
	})
	taskstest.Serve(t, b, m, "default")
	bad, err := choosy.Enqueue(t.Context(), client, pair{})
	require.NoError(t, err)
	slow, err := choosy.Enqueue(t.Context(), client, pair{N: 1}, tasks.Timeout(20*time.Millisecond))
	require.NoError(t, err)
	_, err = bad.Get(testenv.Soon(t))
	require.ErrorContains(t, err, "bad news")
	info, err := client.Info(t.Context(), bad.ID())
	require.NoError(t, err)
	require.Equal(t, []string{"failure"}, outcomes(info))
	_, err = slow.Get(testenv.Soon(t))
	require.NoError(t, err)
}

// A server with one slot, whose handler does not look at its context.
func TestHardLimitFreesTheSlot(t *testing.T) {
	onEachBroker(t, func(t *testing.T, b *broker.Broker) {
		client, m := tasks.NewClient(b), mux()
		finish, refused := make(chan struct{}), make(chan error, 1)
		tasks.Handle(m, quick, func(ctx context.Context, a pair) (int, error) {
			if a.N == 1 {
				return 1, nil
			}
			<-finish
			refused <- tasks.Progress(ctx, 1, 2, "too late")
			return 2, nil
		})
		serveOne(t, b, m)
		stuck, err := quick.Enqueue(t.Context(), client, pair{}, tasks.Timeout(20*time.Millisecond), tasks.HardTimeout(60*time.Millisecond))
		require.NoError(t, err)
		next, err := quick.Enqueue(t.Context(), client, pair{N: 1})
		require.NoError(t, err)
		_, err = stuck.Get(testenv.Soon(t))
		require.ErrorContains(t, err, "exceeded its hard time limit of 60ms")
		value, err := next.Get(testenv.Soon(t))
		require.NoError(t, err)
		require.Equal(t, 1, value, "the slot is free")
		close(finish)
		require.ErrorIs(t, <-refused, tasks.ErrFenced)
		info, err := client.Info(t.Context(), stuck.ID())
		require.NoError(t, err)
		require.Equal(t, tasks.StateFailure, info.State)
		require.Nil(t, info.Progress)
		require.Zero(t, info.Retries)
	})
}

// serveOne is taskstest.Serve with one slot.
func serveOne(t *testing.T, b *broker.Broker, m *tasks.Mux) {
	t.Helper()
	queues := map[string]int{"default": 1}
	fetcher := fetch.New(b, fetch.Config{Name: "one", Queues: queues, Slots: 1})
	server := asynq.NewServerFromRedisClient(fetcher, m.Engine(asynq.Config{
		Concurrency: 1, Queues: queues, LogLevel: asynq.FatalLevel, ShutdownTimeout: 5 * time.Second,
		BaseContext: func() context.Context { return fetcher.Context(context.Background()) },
	}))
	require.NoError(t, server.Start(m))
	t.Cleanup(func() {
		fetcher.Stop()
		server.Shutdown()
		fetcher.Leave()
	})
}

func TestTerminateWhileItRuns(t *testing.T) {
	onEachBroker(t, func(t *testing.T, b *broker.Broker) {
		client, m := tasks.NewClient(b), mux()
		begun, cause := make(chan struct{}), make(chan error, 1)
		tasks.Handle(m, quick, func(ctx context.Context, _ pair) (int, error) {
			close(begun)
			<-ctx.Done()
			cause <- context.Cause(ctx)
			return 0, ctx.Err()
		})
		taskstest.Serve(t, b, m, "default")
		res, err := quick.Enqueue(t.Context(), client, pair{})
		require.NoError(t, err)
		<-begun
		_, err = res.Revoke(t.Context(), tasks.Terminate(), tasks.Reason("not wanted"))
		require.NoError(t, err)
		_, err = res.Get(testenv.Soon(t))
		require.ErrorIs(t, err, tasks.ErrRevoked)
		require.ErrorContains(t, err, "not wanted")
		require.ErrorIs(t, <-cause, tasks.ErrRevoked)
		info, err := client.Info(t.Context(), res.ID())
		require.NoError(t, err)
		require.Equal(t, []string{"revoked"}, outcomes(info))
	})
}

func TestPoisonTaskIsNotRunAgain(t *testing.T) {
	onEachBroker(t, func(t *testing.T, b *broker.Broker) {
		client := tasks.NewClient(b)
		m, saw := callbackMux(client, func(context.Context, pair) (string, error) {
			t.Error("it must not run")
			return "", nil
		})
		res, err := parentJob.Enqueue(t.Context(), client, pair{}, tasks.MaxCrashes(3), tasks.OnFailure(afterJob.Signature(pair{})))
		require.NoError(t, err)
		require.NoError(t, b.Redis().HSet(t.Context(), "asynq:{default}:t:"+res.ID(), "crashes", 3).Err())
		taskstest.Serve(t, b, m, "default")
		_, err = res.Get(testenv.Soon(t))
		require.ErrorContains(t, err, "its worker died 3 times while running it")
		require.Equal(t, res.ID(), receive(t, saw).parent.ID)
	})
}

func TestProgressIsSeen(t *testing.T) {
	onEachBroker(t, func(t *testing.T, b *broker.Broker) {
		client, m := tasks.NewClient(b), mux()
		finish := make(chan struct{})
		tasks.Handle(m, quick, func(ctx context.Context, _ pair) (int, error) {
			for n := range int64(1000) {
				if err := tasks.Progress(ctx, n+1, 1000, "counting"); err != nil {
					return 0, err
				}
			}
			<-finish
			return 0, nil
		})
		taskstest.Serve(t, b, m, "default")
		res, err := quick.Enqueue(t.Context(), client, pair{})
		require.NoError(t, err)
		require.Eventually(t, func() bool {
			info, err := client.Info(t.Context(), res.ID())
			return err == nil && info.State == tasks.StateProgress && info.Progress.Done == 1000
		}, 20*time.Second, 5*time.Millisecond, "the trailing report is stored")
		close(finish)
		_, err = res.Get(testenv.Soon(t))
		require.NoError(t, err)
	})
}
