package beat

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/tasks/schedule"
)

func every(t testing.TB, period time.Duration) schedule.Rule {
	t.Helper()
	r, err := schedule.ParseEvery(period)
	require.NoError(t, err)
	return r
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
			d := ticksBetween(every(t, c.every), c.misfire, c.settled, c.now)
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
	yearly, err := schedule.ParseCron("@yearly", time.UTC)
	require.NoError(t, err)
	for _, c := range []struct {
		rule schedule.Rule
		run  int
		more bool
	}{{every(t, time.Second), maxCatchUp, true}, {yearly, 56, false}} {
		d := ticksBetween(c.rule, MisfireAll, time.Unix(0, 0), now)
		require.Len(t, d.run, c.run)
		require.Equal(t, c.more, d.more)
		require.True(t, d.newest.Equal(d.run[len(d.run)-1]))
		require.True(t, c.rule.Next(d.newest).After(now), "the newest ticks are kept")
	}
}
