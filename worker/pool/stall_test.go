package pool_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/deploy/testenv"
	"github.com/paidui/paidui/tasks"
	"github.com/paidui/paidui/tasks/taskstest"
	"github.com/paidui/paidui/worker/pool"
)

// The connection stays, and nothing comes through it: callers are answered in their own time, the worker says that it
// is not well, and both mend by themselves.
func TestStalledConnection(t *testing.T) {
	t.Parallel()
	server := testenv.Redis(t)
	proxy := testenv.NewProxy(t, server.Addr)
	b := taskstest.Broker(t, proxy.URL(0))
	client, m := tasks.NewClient(b), mux()
	tasks.Handle(m, job, func(context.Context, none) (string, error) { return "done", nil })
	p, err := pool.New(b, m, config())
	require.NoError(t, err)
	run(t, p)
	works := func() {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		res, err := job.Enqueue(ctx, client, none{})
		require.NoError(t, err)
		value, err := res.Get(ctx)
		require.NoError(t, err)
		require.Equal(t, "done", value)
	}
	works()
	require.NoError(t, p.Ready(t.Context()))

	proxy.Stall(true)
	const patience = 300 * time.Millisecond
	var calls sync.WaitGroup
	for range 10 {
		calls.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			begun := time.Now()
			_, err := job.Enqueue(ctx, client, none{})
			took := time.Since(begun)
			assert.ErrorIs(t, err, tasks.ErrBroker)
			assert.Less(t, took, 2500*time.Millisecond, "the client's own limit is 3 seconds a try")
		})
	}
	calls.Wait()
	require.Eventually(t, func() bool { return p.Ready(t.Context()) != nil }, time.Minute, 50*time.Millisecond,
		"a worker that gets no answer is not ready")

	proxy.Stall(false)
	works()
	require.Eventually(t, func() bool { return p.Ready(t.Context()) == nil }, time.Minute, 10*time.Millisecond)
}
