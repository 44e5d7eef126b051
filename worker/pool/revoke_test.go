package pool_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/deploy/testenv"
	"github.com/paidui/paidui/tasks"
	"github.com/paidui/paidui/tasks/broker"
	"github.com/paidui/paidui/tasks/taskstest"
	"github.com/paidui/paidui/worker/pool"
)

// limited is a context for a wait that a healthy system ends much earlier.
func limited(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// work starts a worker of one slot whose handler of job is h.
func work(t *testing.T, b *broker.Broker, h func(context.Context) (string, error)) (stop func()) {
	t.Helper()
	m := mux()
	tasks.Handle(m, job, func(ctx context.Context, _ none) (string, error) { return h(ctx) })
	cfg := config()
	cfg.Concurrency, cfg.Drain, cfg.Life = 1, 50*time.Millisecond, shortLife
	p, err := pool.New(b, m, cfg)
	require.NoError(t, err)
	return run(t, p)
}

func enqueue(t *testing.T, client *tasks.Client, opts ...tasks.Option) *tasks.Result[string] {
	t.Helper()
	res, err := job.Enqueue(t.Context(), client, none{}, opts...)
	require.NoError(t, err)
	return res
}

// revoke revokes a task that runs.
func revoke(t *testing.T, res *tasks.Result[string], how ...tasks.RevokeOption) {
	t.Helper()
	state, err := res.Revoke(t.Context(), how...)
	require.NoError(t, err)
	require.Equal(t, tasks.StateStarted, state)
}

func requireRevoked(t *testing.T, client *tasks.Client, res *tasks.Result[string], reason string) *tasks.Info {
	t.Helper()
	_, err := res.Get(limited(t))
	require.ErrorIs(t, err, tasks.ErrRevoked)
	require.ErrorContains(t, err, reason)
	info, err := client.Info(t.Context(), res.ID())
	require.NoError(t, err)
	require.Equal(t, []any{tasks.StateRevoked, reason}, []any{info.State, info.Error})
	return info
}

func TestTerminateEndsARunningTask(t *testing.T) {
	t.Parallel()
	for name, by := range map[string]func(*testing.T, *tasks.Client, *tasks.Result[string]){
		"id": func(t *testing.T, _ *tasks.Client, res *tasks.Result[string]) {
			revoke(t, res, tasks.Terminate(), tasks.Reason("a mistake"))
		},
		"tag": func(t *testing.T, client *tasks.Client, _ *tasks.Result[string]) {
			n, err := client.RevokeTag(t.Context(), "night", tasks.Terminate(), tasks.Reason("a mistake"))
			require.NoError(t, err)
			require.Equal(t, tasks.RevokedTag{Running: 1}, n)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := taskstest.Broker(t, testenv.RedisURL(t))
			client := tasks.NewClient(b)
			begun, runs := make(chan struct{}, 10), atomic.Int32{}
			work(t, b, func(ctx context.Context) (string, error) {
				runs.Add(1)
				begun <- struct{}{}
				<-ctx.Done()
				return "", ctx.Err()
			})
			res := enqueue(t, client, tasks.Tags("night"), tasks.Backoff(time.Millisecond, time.Millisecond))
			<-begun
			by(t, client, res)
			info := requireRevoked(t, client, res, "a mistake")
			require.Len(t, info.Attempts, 1)
			require.Equal(t, "revoked", string(info.Attempts[0].Outcome))
			next := enqueue(t, client, tasks.Retention(time.Hour))
			<-begun // the slot is free
			require.EqualValues(t, 2, runs.Load(), "the revoked one does not run again")
			revoke(t, next, tasks.Terminate())
			requireRevoked(t, client, next, "revoked")
			require.NoError(t, res.Retry(t.Context()), "unless it is told to")
			<-begun
			revoke(t, res, tasks.Terminate())
			requireRevoked(t, client, res, "revoked")
		})
	}
}

// TestTerminateFreesTheSlotOfADeafHandler, which ignores its context.
func TestTerminateFreesTheSlotOfADeafHandler(t *testing.T) {
	t.Parallel()
	b := taskstest.Broker(t, testenv.RedisURL(t))
	client := tasks.NewClient(b)
	begun, end, first := make(chan struct{}), make(chan struct{}), atomic.Bool{}
	t.Cleanup(func() { close(end) })
	work(t, b, func(context.Context) (string, error) {
		if !first.Swap(true) {
			close(begun)
			<-end
		}
		return "done", nil
	})
	res := enqueue(t, client)
	<-begun
	revoke(t, res, tasks.Terminate())
	requireRevoked(t, client, res, "revoked")
	value, err := enqueue(t, client).Get(limited(t))
	require.NoError(t, err)
	require.Equal(t, "done", value)
}

// TestTerminateIsFoundWithoutItsMessage cuts the worker's connections just before the message is sent.
func TestTerminateIsFoundWithoutItsMessage(t *testing.T) {
	t.Parallel()
	server := testenv.Redis(t)
	proxy := testenv.NewProxy(t, server.Addr)
	client := tasks.NewClient(taskstest.Broker(t, server.URL(0)))
	begun := make(chan struct{})
	work(t, taskstest.Broker(t, proxy.URL(0)), func(ctx context.Context) (string, error) {
		close(begun)
		<-ctx.Done()
		return "", ctx.Err()
	})
	res := enqueue(t, client)
	<-begun
	proxy.Cut()
	revoke(t, res, tasks.Terminate())
	requireRevoked(t, client, res, "revoked")
}

// A task that is revoked without terminate runs to its end, but never again: whatever ends this attempt.
func TestRevokedWhileItRuns(t *testing.T) {
	t.Parallel()
	start := func(t *testing.T, b *broker.Broker, ends func(context.Context) (string, error)) (begun chan struct{}, runs *atomic.Int32, stop func()) {
		begun, runs = make(chan struct{}, 10), new(atomic.Int32)
		stop = work(t, b, func(ctx context.Context) (string, error) {
			runs.Add(1)
			begun <- struct{}{}
			return ends(ctx)
		})
		return begun, runs, stop
	}
	t.Run("success", func(t *testing.T) {
		t.Parallel()
		b := taskstest.Broker(t, testenv.RedisURL(t))
		end := make(chan struct{})
		begun, _, _ := start(t, b, func(context.Context) (string, error) { <-end; return "done", nil })
		res := enqueue(t, tasks.NewClient(b))
		<-begun
		revoke(t, res)
		close(end)
		value, err := res.Get(limited(t))
		require.NoError(t, err)
		require.Equal(t, "done", value)
	})
	t.Run("failure", func(t *testing.T) {
		t.Parallel()
		b := taskstest.Broker(t, testenv.RedisURL(t))
		client, end := tasks.NewClient(b), make(chan struct{})
		begun, runs, _ := start(t, b, func(context.Context) (string, error) { <-end; return "", errors.New("no luck") })
		res := enqueue(t, client, tasks.MaxRetries(5), tasks.Backoff(time.Hour, time.Hour))
		<-begun
		revoke(t, res, tasks.Reason("a mistake"))
		close(end)
		requireRevoked(t, client, res, "a mistake")
		requireEnded(t, b, res)
		require.EqualValues(t, 1, runs.Load())
	})
	t.Run("drain", func(t *testing.T) {
		t.Parallel()
		b := taskstest.Broker(t, testenv.RedisURL(t))
		client := tasks.NewClient(b)
		begun, runs, stop := start(t, b, func(ctx context.Context) (string, error) { <-ctx.Done(); return "", ctx.Err() })
		res := enqueue(t, client)
		<-begun
		revoke(t, res, tasks.Reason("a mistake"))
		stop()
		requireRevoked(t, client, res, "a mistake")
		_, others, _ := start(t, b, func(context.Context) (string, error) { return "again", nil })
		requireEnded(t, b, res)
		requireRevoked(t, client, res, "a mistake")
		require.EqualValues(t, 1, runs.Load()+others.Load())
	})
	t.Run("death", func(t *testing.T) {
		t.Parallel()
		server := testenv.Redis(t)
		proxy := testenv.NewProxy(t, server.Addr)
		b := taskstest.Broker(t, server.URL(0))
		client, end := tasks.NewClient(b), make(chan struct{})
		t.Cleanup(func() { close(end) })
		begun, runs, _ := start(t, taskstest.Broker(t, proxy.URL(0)), func(context.Context) (string, error) { <-end; return "", nil })
		res := enqueue(t, client, tasks.MaxRetries(5), tasks.Backoff(time.Millisecond, time.Millisecond))
		<-begun
		proxy.Stall(true) // as good as dead
		t.Cleanup(func() { proxy.Stall(false) })
		revoke(t, res, tasks.Reason("a mistake"))
		_, others, _ := start(t, b, func(context.Context) (string, error) { return "again", nil })
		requireEnded(t, b, res)
		requireRevoked(t, client, res, "a mistake")
		require.EqualValues(t, 1, runs.Load()+others.Load())
	})
}

// requireEnded waits until Redis holds the task as one that has ended, not as one that is to end.
func requireEnded(t *testing.T, b *broker.Broker, res *tasks.Result[string]) {
	t.Helper()
	require.Eventually(t, func() bool {
		found, err := b.Find(t.Context(), "default", res.ID())
		return err == nil && found != nil && found.State == "completed"
	}, time.Minute, 5*time.Millisecond)
}
