package pool_test

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/deploy/testenv"
	"github.com/paidui/paidui/tasks"
	"github.com/paidui/paidui/tasks/taskstest"
	"github.com/paidui/paidui/worker/pool"
)

type countArgs struct {
	N int `json:"n"`
}

var countJob = tasks.Define[countArgs, int]("test.count")

// backlog enqueues n tasks in order and returns their ids.
func backlog(t *testing.T, client *tasks.Client, n int) []string {
	t.Helper()
	calls := make([]tasks.Signature, n)
	for i := range calls {
		calls[i] = countJob.Signature(countArgs{N: i})
	}
	ids := make([]string, n)
	for i, made := range tasks.EnqueueMany(t.Context(), client, calls) {
		require.NoError(t, made.Err)
		ids[i] = made.ID
	}
	return ids
}

func countConfig(concurrency int, drain time.Duration) pool.Config {
	return pool.Config{Queues: map[string]int{"default": 1}, Concurrency: concurrency, Drain: drain, Logger: testenv.Quiet()}
}

// finishInOrder runs what is left one at a time and returns the order.
func finishInOrder(t *testing.T, s shelf, l *ledger) (order []int) {
	t.Helper()
	var mu sync.Mutex
	m := tasks.NewMux(tasks.MuxOptions{Logger: testenv.Quiet(), Middleware: []tasks.Middleware{l.middleware}})
	tasks.Handle(m, countJob, func(_ context.Context, a countArgs) (int, error) {
		mu.Lock()
		defer mu.Unlock()
		order = append(order, a.N)
		return a.N, nil
	})
	p, err := pool.New(s.b, m, countConfig(1, 10*time.Second))
	require.NoError(t, err)
	stop := run(t, p)
	require.Eventually(t, func() bool {
		c := s.counts(t)
		return c.Pending+c.Active == 0
	}, time.Minute, 10*time.Millisecond)
	stop()
	return order
}

// requireAllDone wants every task completed with its own result, and nothing else in the queue.
func requireAllDone(t *testing.T, s shelf, client *tasks.Client, ids []string) {
	t.Helper()
	for n, id := range ids {
		value, err := countJob.Result(client, id).Peek(t.Context())
		require.NoError(t, err)
		require.Equal(t, n, value)
	}
	c := s.counts(t)
	require.Equal(t, len(ids), c.Completed)
	require.Zero(t, c.Pending+c.Active+c.Scheduled+c.Retry+c.Archived)
	require.Zero(t, s.leases(t))
}

// Every slot is taken by a task that does not end within the drain, and many more wait.
func TestDrainUnderFullLoadPutsBackWhatRuns(t *testing.T) {
	t.Parallel()
	const slots, quick, all = 10, 50, 400
	b := taskstest.Broker(t, testenv.RedisURL(t))
	client, s, l := tasks.NewClient(b), newShelf(b, "default"), newLedger(t, b)
	ids := backlog(t, client, all)
	var stuck atomic.Int32
	m := tasks.NewMux(tasks.MuxOptions{Logger: testenv.Quiet(), Middleware: []tasks.Middleware{l.middleware}})
	tasks.Handle(m, countJob, func(ctx context.Context, a countArgs) (int, error) {
		if a.N < quick {
			return a.N, nil
		}
		stuck.Add(1)
		<-ctx.Done()
		return 0, ctx.Err()
	})
	p, err := pool.New(b, m, countConfig(slots, 50*time.Millisecond))
	require.NoError(t, err)
	stop := run(t, p)
	require.Eventually(t, func() bool { return stuck.Load() == slots }, 30*time.Second, time.Millisecond)
	stop()

	require.Empty(t, s.active(t), "everything is put back")
	require.Zero(t, s.leases(t))
	require.Equal(t, all-quick, s.pending(t))
	order := finishInOrder(t, s, l)
	require.Len(t, order, all-quick, "each once more")
	// Before what was never touched come, in whatever order, the interrupted tasks and any that were fetched ahead.
	head := slices.Index(order, all/2)
	require.NotContains(t, order[head:], quick+slots-1)
	require.True(t, slices.IsSorted(order[head:]), "nothing was put back at the tail: %v", order)
	for n := quick; n < quick+slots; n++ {
		require.Contains(t, order[:head], n)
	}
	l.settle(t)
	l.assertNothingWrong(t)
	requireAllDone(t, s, client, ids)
}

// The pool ends while its slots are turning over quickly, and tasks are on their way to them.
func TestDrainUnderFullLoadRunsEachOnce(t *testing.T) {
	t.Parallel()
	const all = 1000
	b := taskstest.Broker(t, testenv.RedisURL(t))
	client, s, l := tasks.NewClient(b), newShelf(b, "default"), newLedger(t, b)
	ids := backlog(t, client, all)
	for _, after := range []int32{all / 10, all / 2} {
		var ran atomic.Int32
		enough := make(chan struct{})
		m := tasks.NewMux(tasks.MuxOptions{Logger: testenv.Quiet(), Middleware: []tasks.Middleware{l.middleware}})
		tasks.Handle(m, countJob, func(_ context.Context, a countArgs) (int, error) {
			if ran.Add(1) == after {
				close(enough)
			}
			return a.N, nil
		})
		p, err := pool.New(b, m, countConfig(16, 30*time.Second))
		require.NoError(t, err)
		stop := run(t, p)
		<-enough
		stop()
		require.Empty(t, s.active(t))
		require.Zero(t, s.leases(t))
	}
	require.Positive(t, s.pending(t), "the pools ended in the middle")
	order := finishInOrder(t, s, l)
	require.True(t, slices.IsSorted(order), "what was fetched ahead went back to the head: %v", order)
	for _, id := range ids {
		require.Equal(t, 1, l.of(id).runs, id)
	}
	l.settle(t)
	l.assertNothingWrong(t)
	requireAllDone(t, s, client, ids)
}
