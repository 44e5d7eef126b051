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

// ask makes one request at the gate.
func (o *outcome) ask(g *gate, work func()) (answered bool) {
	began := time.Now()
	in := g.enter(context.Background())
	if in {
		at := time.Now()
		work()
		g.leave(time.Since(at))
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
		g, work, end := newGate(500*time.Millisecond), store(ctx), time.Now().Add(span)
		var all sync.WaitGroup
		for range clients {
			all.Go(func() {
				for time.Now().Before(end) {
					if !o.ask(g, work) {
						time.Sleep(pause)
					}
				}
			})
		}
		all.Wait()
		stop()
		g.mu.Lock()
		defer g.mu.Unlock()
		require.Zero(t, g.working)
		require.Zero(t, g.waiting)
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
		g, work, o := newGate(500*time.Millisecond), store(ctx), new(outcome)
		var all sync.WaitGroup
		for range firstTurns + 400 {
			all.Go(func() { o.ask(g, work) })
		}
		all.Wait()
		require.Zero(t, o.refused)
		require.Len(t, o.took, firstTurns+400)
	})
}

// TestNobodyWaitsLongAtAGateThatIsStuck has all turns taken by requests that do not end.
func TestNobodyWaitsLongAtAGateThatIsStuck(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGate(500 * time.Millisecond)
		for range firstTurns {
			require.True(t, g.enter(t.Context()))
		}
		began := time.Now()
		require.False(t, g.enter(t.Context()))
		require.Equal(t, 500*time.Millisecond, time.Since(began))

		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(10*time.Millisecond, cancel)
		began = time.Now()
		require.False(t, g.enter(ctx), "its client has gone")
		require.Equal(t, 10*time.Millisecond, time.Since(began))

		for range firstTurns {
			g.leave(time.Second)
		}
		require.True(t, g.enter(t.Context()))
		g.leave(0)
		require.Empty(t, g.queue)
	})
}

// TestRequestsWaitLessWhereWorkTakesLong looks at how long a burst may wait.
func TestRequestsWaitLessWhereWorkTakesLong(t *testing.T) {
	t.Parallel()
	g := newGate(500 * time.Millisecond)
	for _, c := range []struct{ work, wait time.Duration }{
		{0, 500 * time.Millisecond}, {250 * time.Millisecond, 500 * time.Millisecond},
		{400 * time.Millisecond, 200 * time.Millisecond}, {time.Minute, 125 * time.Millisecond},
	} {
		g.average = c.work
		require.Equal(t, c.wait, g.patience(g.emptied), c.work)
	}
	require.Equal(t, 125*time.Millisecond, g.patience(g.emptied.Add(time.Second)), "the overload lasts")
}

// TestTheNumberOfTurnsFollowsTheirTime slows a gate's work down, and makes it quick again.
func TestTheNumberOfTurnsFollowsTheirTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGate(time.Second)
		window := func(took time.Duration) int {
			require.True(t, g.enter(t.Context()))
			time.Sleep(turnWindow)
			g.full = true
			g.leave(took)
			return g.turns
		}
		require.Equal(t, firstTurns, window(slowTurn))
		require.Less(t, window(slowTurn+1), firstTurns)
		for range 100 {
			window(time.Second)
		}
		require.Equal(t, leastTurns, g.turns)
		for range 100 {
			window(time.Millisecond)
		}
		require.Equal(t, mostTurns, g.turns)
	})
}
