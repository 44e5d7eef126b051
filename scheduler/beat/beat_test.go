package beat

import (
	"context"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/deploy/testenv"
	"github.com/paidui/paidui/tasks/taskstest"
	"github.com/paidui/paidui/tasks/ticks"
)

var noon = time.Date(2025, 7, 1, 12, 0, 0, 0, time.UTC)

func minutes(from time.Time, count int) []time.Time {
	list := []time.Time{}
	for i := range count {
		list = append(list, from.Add(time.Duration(i+1)*time.Minute))
	}
	return list
}

const everyMinute = "schedules:\n  - {name: a, task: test.sum, args: {n: 1, m: 2}, every: 1m, queue: q, misfire: all}\n"

func TestEnqueuesWithArgumentsAndQueue(t *testing.T) {
	t.Parallel()
	b := taskstest.Broker(t, testenv.RedisURL(t))
	clock := newStepClock(noon.Add(10 * time.Second))
	beat := newBeat(t, b, scheduleFile(t, everyMinute), clock)
	startReady(t, beat)

	list, err := beat.store.List(t.Context())
	require.NoError(t, err)
	next := noon.Add(time.Minute)
	require.Equal(t, []ticks.Status{{Name: "a", Task: "test.sum", Queue: "q", Spec: "every 1m", Timezone: "UTC", NextTick: &next}}, list)

	clock.Set(next.Add(-time.Nanosecond))
	require.Never(t, func() bool { return len(queued(t, b.Redis(), "q", "a")) > 0 }, 50*time.Millisecond, 10*time.Millisecond)
	clock.Set(next.Add(3 * time.Millisecond))
	testenv.Eventually(t, func() bool {
		list, err = beat.store.List(t.Context())
		require.NoError(t, err)
		return list[0].LastTick != nil
	})

	require.Equal(t, next, *list[0].LastTick)
	require.Equal(t, next.Add(time.Minute), *list[0].NextTick)
	info, err := beat.opt.Client.Info(t.Context(), list[0].LastTaskID)
	require.NoError(t, err)
	require.Equal(t, "test.sum", info.Task)
	require.Equal(t, "q", info.Queue)
	require.JSONEq(t, `{"n":1,"m":2}`, string(info.Args))
	testenv.Eventually(t, func() bool { // it is counted after Redis has it
		return testutil.ToFloat64(beat.metrics.ticks.WithLabelValues("a", tickEnqueued)) == 1
	})
	testenv.Eventually(t, func() bool { return testutil.ToFloat64(beat.metrics.inForce) == 1 })
}

func TestMisfireAfterARestart(t *testing.T) {
	t.Parallel()
	for misfire, want := range map[string][]time.Time{
		"skip": {},
		"once": {noon.Add(5 * time.Minute)},
		"all":  minutes(noon, 5),
		"":     {noon.Add(5 * time.Minute)},
	} {
		t.Run("misfire "+misfire, func(t *testing.T) {
			t.Parallel()
			b := taskstest.Broker(t, testenv.RedisURL(t))
			text := "schedules:\n  - name: a\n    task: test.noop\n    every: 1m\n"
			if misfire != "" {
				text += "    misfire: " + misfire + "\n"
			}
			path := scheduleFile(t, text)
			startReady(t, newBeat(t, b, path, newStepClock(noon)))()

			clock := newStepClock(noon.Add(5*time.Minute + 30*time.Second))
			second := newBeat(t, b, path, clock)
			startReady(t, second)
			testenv.Eventually(t, func() bool {
				last, err := second.store.LastSettled(t.Context(), "a")
				require.NoError(t, err)
				return last.Equal(noon.Add(5 * time.Minute))
			})

			require.Equal(t, want, queued(t, b.Redis(), "default", "a"))
			testenv.Eventually(t, func() bool { // it is counted after Redis has it
				return testutil.ToFloat64(second.metrics.ticks.WithLabelValues("a", tickMissed)) == float64(5-len(want))
			})

			clock.Set(noon.Add(6 * time.Minute))
			want = append(want, noon.Add(6*time.Minute))
			testenv.Eventually(t, func() bool { return len(queued(t, b.Redis(), "default", "a")) == len(want) })
			require.Equal(t, want, queued(t, b.Redis(), "default", "a"))
		})
	}
}

func TestAnEntryThatIsNewOrChangedStartsFromNow(t *testing.T) {
	t.Parallel()
	b := taskstest.Broker(t, testenv.RedisURL(t))
	const head = "schedules:\n  - {name: a, task: test.noop, misfire: all, "
	startReady(t, newBeat(t, b, scheduleFile(t, head+"cron: '* * * * *'}\n"), newStepClock(noon)))()
	for i, rule := range []string{"every: 1m}", "every: 1m, paused: true}", "every: 1m}", "cron: '* * * * *', timezone: Asia/Tokyo}"} {
		now := noon.Add(time.Duration(i+1) * time.Hour)
		beat := newBeat(t, b, scheduleFile(t, head+rule), newStepClock(now))
		stop := startReady(t, beat)
		last, err := beat.store.LastSettled(t.Context(), "a")
		require.NoError(t, err)
		require.Equal(t, now, last, rule)
		stop()
	}
	require.Empty(t, queued(t, b.Redis(), "default", "a"))
}

func TestRedisAway(t *testing.T) {
	t.Parallel()
	server := testenv.Redis(t, testenv.WithArgs("--appendonly", "yes", "--appendfsync", "always"))
	b := taskstest.Broker(t, server.URL(0))
	clock := newFastClock(noon, 20)
	beat := newBeat(t, b, scheduleFile(t, "schedules:\n  - {name: a, task: test.noop, every: 1s, misfire: all}\n"), clock)
	startReady(t, beat)
	testenv.Eventually(t, func() bool { return len(queued(t, b.Redis(), "default", "a")) >= 3 })
	server.Kill()
	testenv.Eventually(t, func() bool { return beat.Ready(context.Background()) != nil })
	server.Start()
	testenv.Eventually(t, func() bool { return beat.Ready(t.Context()) == nil })
	back := clock.Now()
	testenv.Eventually(t, func() bool {
		last, err := beat.store.LastSettled(t.Context(), "a")
		return err == nil && last.After(back)
	})

	requireContiguous(t, queued(t, b.Redis(), "default", "a"))
}

func requireContiguous(t testing.TB, list []time.Time) {
	t.Helper()
	require.NotEmpty(t, list)
	for i := range list {
		require.Equal(t, list[0].Add(time.Duration(i)*time.Second), list[i], "tick %d of %v", i, list)
	}
}

// A Redis that lost everything is taken up again.
func TestRedisEmptied(t *testing.T) {
	t.Parallel()
	b := taskstest.Broker(t, testenv.RedisURL(t))
	runs := serveCounting(t, b)
	beat := newBeat(t, b, scheduleFile(t, "schedules:\n  - {name: a, task: test.noop, every: 1s}\n"), newFastClock(noon, 10))
	startReady(t, beat)
	testenv.Eventually(t, func() bool { return len(runs.ticks(t, "a")) >= 2 })
	require.NoError(t, b.Redis().FlushDB(t.Context()).Err())
	before := len(runs.ticks(t, "a"))
	testenv.Eventually(t, func() bool { return len(runs.ticks(t, "a")) >= before+3 })
}

// TestRedisEmptiedLosesNoTick empties Redis again and again: whatever ticks fall into the time until the schedulers
// notice, each is there once.
func TestRedisEmptiedLosesNoTick(t *testing.T) {
	t.Parallel()
	b := taskstest.Broker(t, testenv.RedisURL(t))
	clock := newStepClock(noon)
	file := scheduleFile(t, "schedules:\n  - {name: a, task: test.noop, every: 1s, misfire: all}\n")
	beat, other := newBeat(t, b, file, clock), newBeat(t, b, file, clock)
	startReady(t, beat)
	startReady(t, other)
	now := noon
	settled := func(upTo time.Time) {
		t.Helper()
		for _, one := range []*Beat{beat, other} {
			key := entryRule{"a", beat.first.Entries()[0].RuleID()}
			testenv.Eventually(t, func() bool {
				one.settled.mu.Lock()
				defer one.settled.mu.Unlock()
				return one.settled.settled[key].Equal(upTo)
			})

		}
	}
	for range 5 {
		now = now.Add(time.Second)
		clock.Set(now)
		settled(now)
		require.NoError(t, b.Redis().FlushDB(t.Context()).Err())
		lost := now
		for range 3 { // one goes unnoticed until it is due
			now = now.Add(time.Second)
			clock.Set(now)
		}
		settled(now)
		list := queued(t, b.Redis(), "default", "a")
		require.Len(t, list, 3)
		require.Equal(t, lost.Add(time.Second), list[0])
		requireContiguous(t, list)
	}
}

func TestTheScheduleAnnouncedLastIsInForce(t *testing.T) {
	t.Parallel()
	b := taskstest.Broker(t, testenv.RedisURL(t))
	clock := newFastClock(noon, 50)
	older := newBeat(t, b, scheduleFile(t, "schedules:\n  - {name: a, task: test.noop, every: 1s}\n  - {name: gone, task: test.noop, every: 1s}\n"), clock)
	startReady(t, older)
	testenv.Eventually(t, func() bool { return testutil.ToFloat64(older.metrics.inForce) == 1 })
	newer := newBeat(t, b, scheduleFile(t, "schedules:\n  - {name: a, task: test.noop, every: 2s}\n"), clock)
	stop := startReady(t, newer)
	testenv.Eventually(t, func() bool { return testutil.ToFloat64(older.metrics.inForce) == 0 })
	testenv.Eventually(t, func() bool { return testutil.ToFloat64(newer.metrics.inForce) == 1 })
	require.NoError(t, older.Ready(t.Context()))
	list, err := newer.store.List(t.Context())
	require.NoError(t, err)
	require.Len(t, list, 1)
	require.Equal(t, "every 2s", list[0].Spec)

	// When nobody with the newer one is left, the older one takes over.
	stop()
	require.NoError(t, b.Redis().HSet(t.Context(), "paidui:{schedules}:current", "seen", time.Now().Add(-ticks.Silence).Unix()).Err())
	testenv.Eventually(t, func() bool { return testutil.ToFloat64(older.metrics.inForce) == 1 })
	list, err = older.store.List(t.Context())
	require.NoError(t, err)
	require.Len(t, list, 2)
}

// Two schedulers walk through the night in which New York's clocks go back; one is restarted within the repeated hour.
func TestRestartWithinTheRepeatedHour(t *testing.T) {
	t.Parallel()
	b := taskstest.Broker(t, testenv.RedisURL(t))
	path := scheduleFile(t, "timezone: America/New_York\nschedules:\n  - {name: a, task: test.noop, cron: '30 1 * * *', misfire: all}\n")
	begin := time.Date(2025, 11, 2, 5, 0, 0, 0, time.UTC) // 01:00 EDT
	first, second := newStepClock(begin), newStepClock(begin)
	startReady(t, newBeat(t, b, path, first))
	stop := startReady(t, newBeat(t, b, path, second))
	tick := begin.Add(30 * time.Minute)
	for _, clock := range []*stepClock{first, second} {
		clock.Set(tick)
	}
	testenv.Eventually(t, func() bool { return len(queued(t, b.Redis(), "default", "a")) == 1 })
	stop()
	for _, now := range []time.Time{tick.Add(50 * time.Minute), tick.Add(61 * time.Minute)} { // 01:20 and 01:31 EST
		clock := newStepClock(now)
		stop := startReady(t, newBeat(t, b, path, clock))
		clock.Set(tick.Add(70 * time.Minute))
		first.Set(tick.Add(70 * time.Minute))
		stop()
	}
	require.Equal(t, []time.Time{tick}, queued(t, b.Redis(), "default", "a"))
	first.Set(tick.Add(25 * time.Hour)) // 01:30 EST, a day later
	testenv.Eventually(t, func() bool { return len(queued(t, b.Redis(), "default", "a")) == 2 })
	require.Equal(t, []time.Time{tick, tick.Add(25 * time.Hour)}, queued(t, b.Redis(), "default", "a"))
}

func TestNewRefusesAWrongFile(t *testing.T) {
	t.Parallel()
	b := taskstest.Broker(t, testenv.RedisURL(t))
	_, err := New(Options{Path: scheduleFile(t, "schedules:\n  - {name: a}\n"), Catalog: catalog(t), Redis: b.Redis()})
	var invalid *LoadError
	require.ErrorAs(t, err, &invalid)
}
