package beat

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestEveryTicksAtMultiplesOfItsPeriod(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		period := rapid.Int64Range(1, 366*86400).Draw(rt, "period")
		r, err := parseEvery(time.Duration(period) * time.Second)
		require.NoError(rt, err)
		at := time.Unix(rapid.Int64Range(-1e10, 1e10).Draw(rt, "from"), rapid.Int64Range(0, 999_999_999).Draw(rt, "ns"))
		tick := r.next(at)
		require.True(rt, tick.After(at))
		require.Zero(rt, tick.Unix()%period)
		require.LessOrEqual(rt, tick.Sub(at), time.Duration(period)*time.Second)
		require.Equal(rt, tick.Add(time.Duration(period)*time.Second), r.next(tick))
	})
}

func TestEveryRefuses(t *testing.T) {
	t.Parallel()
	for _, period := range []time.Duration{0, -time.Second, time.Millisecond, 1500 * time.Millisecond, 367 * 24 * time.Hour} {
		_, err := parseEvery(period)
		require.Error(t, err, period)
	}
}

func TestEveryReadsShort(t *testing.T) {
	t.Parallel()
	for period, want := range map[time.Duration]string{
		time.Second: "every 1s", 90 * time.Second: "every 1m30s", time.Hour: "every 1h", 25 * time.Hour: "every 25h", 3601 * time.Second: "every 1h1s",
	} {
		require.Equal(t, want, everyRule(period).String())
	}
}

func TestDue(t *testing.T) {
	t.Parallel()
	at := func(s float64) time.Time { return time.UnixMilli(1_800_000_000_000 + int64(s*1000)).UTC() }
	for _, c := range []struct {
		name         string
		every        time.Duration
		misfire      Misfire
		settled, now time.Time
		run          []time.Time
		missed       int
	}{
		{"nothing is due", 10 * time.Second, MisfireAll, at(0), at(9.9), nil, 0},
		{"on time", 10 * time.Second, MisfireSkip, at(0), at(10), []time.Time{at(10)}, 0},
		{"late is not missed", 10 * time.Second, MisfireSkip, at(0), at(14.9), []time.Time{at(10)}, 0},
		{"missed when the next is due", time.Second, MisfireSkip, at(0), at(3.5), []time.Time{at(3)}, 2},
		{"every second, skip after 20 s", time.Second, MisfireSkip, at(0), at(20.3), []time.Time{at(20)}, 19},
		{"every second, once after 20 s", time.Second, MisfireOnce, at(0), at(20.3), []time.Time{at(20)}, 19},
		{"every second, all after 4 s", time.Second, MisfireAll, at(0), at(4), []time.Time{at(1), at(2), at(3), at(4)}, 3},
		{"skip drops what is older", 10 * time.Second, MisfireSkip, at(0), at(31), []time.Time{at(30)}, 2},
		{"skip drops all of it", 10 * time.Second, MisfireSkip, at(0), at(39), nil, 3},
		{"once runs the newest", 10 * time.Second, MisfireOnce, at(0), at(39), []time.Time{at(30)}, 3},
		{"once is made up for by a tick on time", 10 * time.Second, MisfireOnce, at(0), at(31), []time.Time{at(30)}, 2},
		{"all runs each", 10 * time.Second, MisfireAll, at(0), at(39), []time.Time{at(10), at(20), at(30)}, 3},
		{"a clock that went back", 10 * time.Second, MisfireAll, at(100), at(50), nil, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			d := ticksBetween(everyRule(c.every), c.misfire, c.settled, c.now)
			require.Len(t, d.run, len(c.run))
			for i := range c.run {
				require.True(t, c.run[i].Equal(d.run[i]), "%v", d.run)
			}
			require.Equal(t, c.missed, d.missed)
			require.False(t, d.more)
		})
	}
}

func TestDueIsBounded(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 7, 1, 0, 0, 0, 0, time.UTC)
	yearly, err := parseCron("@yearly", time.UTC)
	require.NoError(t, err)
	for _, c := range []struct {
		rule rule
		run  int
		more bool
	}{{everyRule(time.Second), maxCatchUp, true}, {yearly, 56, false}} {
		d := ticksBetween(c.rule, MisfireAll, time.Unix(0, 0), now)
		require.Len(t, d.run, c.run)
		require.Equal(t, c.more, d.more)
		require.True(t, d.newest.Equal(d.run[len(d.run)-1]))
		require.True(t, c.rule.next(d.newest).After(now), "the newest ticks are kept")
	}
}
