package cache

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"
)

func counter() prometheus.Counter { return prometheus.NewCounter(prometheus.CounterOpts{Name: "n"}) }

func TestLoadsAreBounded(t *testing.T) {
	t.Parallel()
	l := newLoads(3, 1000, counter())
	var running, most atomic.Int32
	var all sync.WaitGroup
	for range 100 {
		all.Go(func() {
			err := l.run(t.Context(), func(context.Context) error {
				n := running.Add(1)
				defer running.Add(-1)
				for old := most.Load(); n > old && !most.CompareAndSwap(old, n); old = most.Load() {
				}
				time.Sleep(time.Millisecond)
				return nil
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	require.EqualValues(t, 3, most.Load())
	require.Zero(t, l.waiting.Load())
}

// occupy takes all turns until the function that it returns is called.
func occupy(t *testing.T, l *loads) (release func()) {
	t.Helper()
	hold := make(chan struct{})
	var began, all sync.WaitGroup
	for range cap(l.slots) {
		began.Add(1)
		all.Go(func() {
			_ = l.run(context.Background(), func(context.Context) error {
				began.Done()
				<-hold
				return nil
			})
		})
	}
	began.Wait()
	return sync.OnceFunc(func() { close(hold); all.Wait() })
}

func TestLoadsBeyondTheQueueAreRefused(t *testing.T) {
	t.Parallel()
	refused := counter()
	l := newLoads(2, 5, refused)
	release := occupy(t, l)
	defer release()
	var queue sync.WaitGroup
	for range 5 {
		queue.Go(func() {
			if err := l.run(context.Background(), func(context.Context) error { return nil }); err != nil {
				t.Error(err)
			}
		})
	}
	require.Eventually(t, func() bool { return l.waiting.Load() == 5 }, 10*time.Second, time.Millisecond)
	err := l.run(t.Context(), func(context.Context) error { return nil })
	var busy *BusyError
	require.ErrorAs(t, err, &busy)
	require.Positive(t, busy.RetryAfter)
	require.EqualValues(t, 1, testutil.ToFloat64(refused))
	release()
	queue.Wait()
}

func TestALoadThatWaitsTooLongIsRefused(t *testing.T) {
	t.Parallel()
	l := newLoads(1, 5, counter())
	defer occupy(t, l)()
	var busy *BusyError
	require.ErrorAs(t, l.run(t.Context(), func(context.Context) error { return nil }), &busy)
}

func TestALoadWaitsNoLongerThanItsContext(t *testing.T) {
	t.Parallel()
	l := newLoads(1, 5, counter())
	defer occupy(t, l)()
	why := errors.New("the client is gone")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(why)
	require.ErrorIs(t, l.run(ctx, func(context.Context) error { return nil }), why)
}

func TestALoadWithinALoadNeedsNoTurn(t *testing.T) {
	t.Parallel()
	l := newLoads(1, 0, counter())
	ran := false
	require.NoError(t, l.run(t.Context(), func(ctx context.Context) error {
		return l.run(ctx, func(context.Context) error { ran = true; return nil })
	}))
	require.True(t, ran)
}
