package server

import (
	"context"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// store is what a route's work waits for: it does one thing after another, each in a millisecond.
func store(ctx context.Context) (work func()) {
	queue := make(chan chan struct{}, 1<<16)
	go func() {
		for {
			select {
			case done := <-queue:
				time.Sleep(time.Millisecond)
				close(done)
			case <-ctx.Done():
				return
			}
		}
	}()
	return func() {
		done := make(chan struct{})
		queue <- done
		<-done
	}
}

// outcome is what became of the requests of a test.
type outcome struct {
	mu      sync.Mutex
	took    []time.Duration // of those that were answered, sorted by summary
	refused int
}

// ask makes one request at the limiter.
func (o *outcome) ask(l *loadLimiter, work func()) (answered bool) {
	began := time.Now()
	in := l.enter(context.Background())
	if in {
		at := time.Now()
		work()
		l.leave(time.Since(at))
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if in {
		o.took = append(o.took, time.Since(began))
	} else {
		o.refused++
	}
	return in
}

func (o *outcome) p99() time.Duration {
	slices.Sort(o.took)
	return o.took[len(o.took)*99/100]
}

// load has clients ask for span, each again as soon as it is answered, or after the pause when it was refused.
func load(t *testing.T, clients int, span, pause time.Duration) *outcome {
	t.Helper()
	o := new(outcome)
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		l, work, end := newLoadLimiter(500*time.Millisecond), store(ctx), time.Now().Add(span)
		var all sync.WaitGroup
		for range clients {
			all.Go(func() {
				for time.Now().Before(end) {
					if !o.ask(l, work) {
						time.Sleep(pause)
					}
				}
			})
		}
		all.Wait()
		stop()
		l.mu.Lock()
		defer l.mu.Unlock()
		require.Zero(t, l.working)
		require.Zero(t, l.waiting)
	})
	return o
}

func TestAnOverloadedRouteAnswersSoonOrNot(t *testing.T) {
	t.Parallel()
	o := load(t, 5000, 20*time.Second, time.Second)
	require.Less(t, o.p99(), time.Second)
	require.Greater(t, len(o.took), 18_000, "of 20,000 that the store can do")
	require.Positive(t, o.refused)
}

func TestARouteRefusesNothingInNormalUse(t *testing.T) {
	t.Parallel()
	for _, clients := range []int{64, 256} {
		o := load(t, clients, 5*time.Second, 0)
		require.Zero(t, o.refused, clients)
		require.Greater(t, len(o.took), 4_900)
	}
}

// TestABurstWaits sends more requests at once than may work.
func TestABurstWaits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		l, work, o := newLoadLimiter(500*time.Millisecond), store(ctx), new(outcome)
		var all sync.WaitGroup
		for range initialTurns + 400 {
			all.Go(func() { o.ask(l, work) })
		}
		all.Wait()
		require.Zero(t, o.refused)
		require.Len(t, o.took, initialTurns+400)
	})
}

// TestNobodyWaitsLongAtALimiterThatIsStuck has all turns taken by requests that do not end.
func TestNobodyWaitsLongAtALimiterThatIsStuck(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLoadLimiter(500 * time.Millisecond)
		for range initialTurns {
			require.True(t, l.enter(t.Context()))
		}
		began := time.Now()
		require.False(t, l.enter(t.Context()))
		require.Equal(t, 500*time.Millisecond, time.Since(began))

		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(10*time.Millisecond, cancel)
		began = time.Now()
		require.False(t, l.enter(ctx), "its client has gone")
		require.Equal(t, 10*time.Millisecond, time.Since(began))

		for range initialTurns {
			l.leave(time.Second)
		}
		require.True(t, l.enter(t.Context()))
		l.leave(0)
		require.Empty(t, l.queue)
	})
}

// TestRequestsWaitLessWhereWorkTakesLong looks at how long a burst may wait.
func TestRequestsWaitLessWhereWorkTakesLong(t *testing.T) {
	t.Parallel()
	l := newLoadLimiter(500 * time.Millisecond)
	for _, c := range []struct{ work, wait time.Duration }{
		{0, 500 * time.Millisecond}, {250 * time.Millisecond, 500 * time.Millisecond},
		{400 * time.Millisecond, 200 * time.Millisecond}, {time.Minute, 125 * time.Millisecond},
	} {
		l.average = c.work
		require.Equal(t, c.wait, l.waitLimit(l.lastEmpty), c.work)
	}
	require.Equal(t, 125*time.Millisecond, l.waitLimit(l.lastEmpty.Add(time.Second)), "the overload lasts")
}

// TestTheNumberOfTurnsFollowsTheirTime slows a limiter's work down, and makes it quick again.
func TestTheNumberOfTurnsFollowsTheirTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLoadLimiter(time.Second)
		window := func(took time.Duration) int {
			require.True(t, l.enter(t.Context()))
			time.Sleep(turnWindow)
			l.full = true
			l.leave(took)
			return l.turns
		}
		require.Equal(t, initialTurns, window(slowTurn))
		require.Less(t, window(slowTurn+1), initialTurns)
		for range 100 {
			window(time.Second)
		}
		require.Equal(t, minTurns, l.turns)
		for range 100 {
			window(time.Millisecond)
		}
		require.Equal(t, maxTurns, l.turns)
	})
}
