package pool_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/deploy/testenv"
	"github.com/paidui/paidui/tasks"
	"github.com/paidui/paidui/tasks/taskstest"
	"github.com/paidui/paidui/worker/pool"
)

func TestMain(m *testing.M) { testenv.Main(m) }

type none struct{}

var job = tasks.Define[none, string]("test.job")

func config() pool.Config {
	return pool.Config{
		Queues:      map[string]int{"default": 3, "low": 1},
		Concurrency: 2,
		Drain:       10 * time.Second,
		Logger:      testenv.Quiet(),
	}
}

func mux() *tasks.Mux { return tasks.NewMux(tasks.MuxOptions{Logger: testenv.Quiet()}) }

// run starts a pool and returns how to end it; ending waits for the drain.
func run(t *testing.T, p *pool.Pool) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- p.Run(ctx) }()
	var stopped atomic.Bool
	stop = func() {
		if cancel(); !stopped.Swap(true) {
			require.NoError(t, <-ended)
		}
	}
	t.Cleanup(stop)
	return stop
}

func TestConfigMistakesAreReportedTogether(t *testing.T) {
	t.Parallel()
	b := taskstest.Embedded(t)
	_, err := pool.New(b, mux(), pool.Config{Queues: map[string]int{"a b": 1, "low": 0}, Drain: -1})
	for _, want := range []string{`"a b"`, "the weight of low", "concurrency", "drain"} {
		require.ErrorContains(t, err, want)
	}
	_, err = pool.New(b, mux(), pool.Config{Concurrency: 1, Drain: 1})
	require.ErrorContains(t, err, "name at least one")
}

func TestReadyMeansFetching(t *testing.T) {
	t.Parallel()
	b := taskstest.Broker(t, testenv.RedisURL(t))
	p, err := pool.New(b, mux(), config())
	require.NoError(t, err)
	require.ErrorContains(t, p.Ready(t.Context()), "has not started")
	stop := run(t, p)
	require.Eventually(t, func() bool { return p.Ready(t.Context()) == nil }, 10*time.Second, time.Millisecond)
	stop()
}

func TestDrainLetsTasksFinish(t *testing.T) {
	t.Parallel()
	b := taskstest.Broker(t, testenv.RedisURL(t))
	client, m := tasks.NewClient(b), mux()
	begun, finish := make(chan struct{}), make(chan struct{})
	tasks.Handle(m, job, func(ctx context.Context, _ none) (string, error) {
		close(begun)
		<-finish
		return "finished", ctx.Err()
	})
	p, err := pool.New(b, m, config())
	require.NoError(t, err)
	stop := run(t, p)
	res, err := job.Enqueue(t.Context(), client, none{})
	require.NoError(t, err)
	<-begun
	ended := make(chan struct{})
	go func() { stop(); close(ended) }()
	require.Eventually(t, func() bool {
		err := p.Ready(t.Context())
		return err != nil && err.Error() == "the worker drains"
	}, 10*time.Second, time.Millisecond)
	second, err := job.Enqueue(t.Context(), client, none{})
	require.NoError(t, err)
	select {
	case <-ended:
		t.Fatal("the pool ended before its task")
	case <-time.After(100 * time.Millisecond):
	}
	close(finish)
	<-ended
	value, err := res.Peek(t.Context())
	require.NoError(t, err)
	require.Equal(t, "finished", value)
	state, err := second.State(t.Context())
	require.NoError(t, err)
	require.Equal(t, tasks.StatePending, state, "nothing new is taken while draining")
}

func TestDrainPutsBackWhatDoesNotFinish(t *testing.T) {
	t.Parallel()
	b := taskstest.Broker(t, testenv.RedisURL(t))
	client := tasks.NewClient(b)
	stuck := mux()
	begun := make(chan struct{})
	tasks.Handle(stuck, job, func(ctx context.Context, _ none) (string, error) {
		close(begun)
		<-ctx.Done() // ends with the pool, after the drain
		return "", ctx.Err()
	}, tasks.FailureHook(func(context.Context, none, error) error {
		t.Error("a task that was put back has not failed")
		return nil
	}))
	cfg := config()
	cfg.Drain = 50 * time.Millisecond
	first, err := pool.New(b, stuck, cfg)
	require.NoError(t, err)
	stop := run(t, first)
	res, err := job.Enqueue(t.Context(), client, none{}, tasks.MaxRetries(0))
	require.NoError(t, err)
	<-begun
	stop()
	state, err := res.State(t.Context())
	require.NoError(t, err)
	require.Equal(t, tasks.StatePending, state)

	healthy := mux()
	tasks.Handle(healthy, job, func(ctx context.Context, _ none) (string, error) {
		return "done by another", nil
	})
	second, err := pool.New(b, healthy, cfg)
	require.NoError(t, err)
	run(t, second)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	value, err := res.Get(ctx)
	require.NoError(t, err)
	require.Equal(t, "done by another", value)
}
