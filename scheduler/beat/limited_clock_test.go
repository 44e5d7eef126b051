package beat

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/deploy/testenv"
	"github.com/paidui/paidui/tasks/broker"
	"github.com/paidui/paidui/tasks/taskstest"
	"github.com/paidui/paidui/tasks/ticks"
)

// offClock is a host's clock that is wrong by so many nanoseconds. Its sleeps are short.
type offClock struct{ ahead atomic.Int64 }

func (c *offClock) set(ahead time.Duration) { c.ahead.Store(int64(ahead)) }

func (c *offClock) Now() time.Time { return systemClock{}.Now().Add(time.Duration(c.ahead.Load())) }

func (c *offClock) WaitUntil(ctx context.Context, t time.Time) error {
	for c.Now().Before(t) {
		if err := c.Sleep(ctx, t.Sub(c.Now())); err != nil {
			return err
		}
	}
	return ctx.Err()
}

func (c *offClock) Sleep(ctx context.Context, d time.Duration) error {
	return systemClock{}.Sleep(ctx, min(d, 20*time.Millisecond))
}

// The scheduler whose clock is an hour ahead comes first; neither it nor the right one loses a tick or runs one early.
func TestAFastClockSilencesNobody(t *testing.T) {
	t.Parallel()
	for name, open := range map[string]func(testing.TB) *broker.Broker{
		"redis":    func(t testing.TB) *broker.Broker { return taskstest.Broker(t, testenv.RedisURL(t)) },
		"embedded": taskstest.Embedded,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := open(t)
			runs := serveCounting(t, b)
			path := scheduleFile(t, everySecond)
			var log testenv.LogBuffer
			clock := &offClock{}
			clock.set(time.Hour)
			fast := newBeat(t, b, path, clock)
			fast.clock.logger = slog.New(slog.NewTextHandler(&log, nil))
			start(t, fast)
			requireTicks(t, runs, 2) // by itself it goes by Redis's clock
			require.ErrorContains(t, fast.Ready(t.Context()), " ahead of Redis's")
			require.Regexp(t, `ahead=(1h0m0|59m59\.\d)s`, log.String()) // less by how long the question took

			stop := startReady(t, newBeat(t, b, path, nil))
			requireTicks(t, runs, 2)
			require.Equal(t, 1, strings.Count(log.String(), "\n"), log.String())
			stop()
			clock.set(0)
			testenv.Eventually(t, func() bool { return fast.Ready(t.Context()) == nil })
			require.Contains(t, log.String(), "agrees with Redis's again")
			requireTicks(t, runs, 2)
		})
	}
}

// requireTicks awaits more ticks, and checks that none is left out or early.
func requireTicks(t *testing.T, runs *counter, more int) {
	t.Helper()
	before := len(runs.ticks(t, "a"))
	testenv.Eventually(t, func() bool { return len(runs.ticks(t, "a")) >= before+more })
	list := runs.ticks(t, "a")
	requireContiguous(t, list)
	require.WithinDuration(t, time.Now(), list[len(list)-1], 5*time.Second)
}

func TestAClockThatIsSetForwardWhileRunning(t *testing.T) {
	t.Parallel()
	b := taskstest.Broker(t, testenv.RedisURL(t))
	runs := serveCounting(t, b)
	clock := &offClock{}
	beat := newBeat(t, b, scheduleFile(t, strings.Replace(everySecond, "all", "once", 1)), clock)
	startReady(t, beat)
	requireTicks(t, runs, 1)
	clock.set(time.Hour)
	testenv.Eventually(t, func() bool { return beat.Ready(t.Context()) != nil })
	requireTicks(t, runs, 2)
}

// The clock is set forward between the heartbeats, so that Begin is the first to notice.
func TestATickThatIsEarlyWaits(t *testing.T) {
	t.Parallel()
	b := taskstest.Broker(t, testenv.RedisURL(t))
	beat := newBeat(t, b, scheduleFile(t, everySecond), newStepClock(noon))
	startReady(t, beat)
	clock := &offClock{}
	clock.set(time.Hour)
	r := beat.runner(beat.first.Entries()[0], beat.first, []byte("secret"))
	r.clock = newLimitedClock(clock, beat.store, testenv.Quiet())
	tick := clock.Now().Truncate(time.Second)
	require.ErrorIs(t, r.tick(t.Context(), tick), errEarly)
	require.ErrorContains(t, r.clock.current(), "ahead of Redis's")
	require.WithinDuration(t, time.Now(), r.clock.Now(), time.Second)
	require.ErrorIs(t, r.skip(t.Context(), tick, 1), errEarly)
	last, err := beat.store.LastSettled(t.Context(), "a")
	require.NoError(t, err)
	require.Equal(t, noon, last)
	require.Empty(t, queued(t, b.Redis(), "default", "a"))
}

func TestHeldClock(t *testing.T) {
	t.Parallel()
	var log testenv.LogBuffer
	host := newStepClock(noon)
	c := newLimitedClock(host, nil, slog.New(slog.NewTextHandler(&log, nil)))
	for _, within := range []time.Duration{-time.Hour, 0, ticks.Tolerance} {
		c.observe(within)
		require.Equal(t, noon, c.Now())
		require.NoError(t, c.current())
	}
	require.Empty(t, log.String())
	for range 10 {
		c.observe(time.Minute)
	}
	require.Equal(t, noon.Add(-time.Minute), c.Now())
	require.Equal(t, 1, strings.Count(log.String(), "\n"))
	c.observe(time.Minute + clockDrift/2)
	require.Equal(t, noon.Add(-time.Minute), c.Now())
	c.logged = c.logged.Add(-clockLogInterval)
	c.observe(time.Hour)
	require.Equal(t, noon.Add(-time.Hour), c.Now())
	require.Equal(t, 2, strings.Count(log.String(), "\n"))

	// What waits for the held time is told when the clocks agree again.
	waited := make(chan error, 1)
	go func() { waited <- c.WaitUntil(t.Context(), noon) }()
	select {
	case err := <-waited:
		require.FailNow(t, "did not wait", "%v", err)
	case <-time.After(20 * time.Millisecond):
	}
	c.observe(0)
	require.NoError(t, <-waited)
	require.Contains(t, log.String(), "agrees with Redis's again")

	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("stopped"))
	require.ErrorIs(t, c.WaitUntil(ctx, noon.Add(time.Minute)), context.Canceled)
}
