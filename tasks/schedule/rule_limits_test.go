package schedule

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func readRule(t rapid.TB, text string) Rule {
	t.Helper()
	r, _, err := Reader{}.ReadRule([]byte(text))
	require.NoError(t, err)
	return r
}

// localTicks lists ticks in (from, to], as local times.
func localTicks(t *testing.T, r Rule, location, from, to string) (list []string) {
	t.Helper()
	loc := zone(t, location)
	start, err := time.ParseInLocation("2006-01-02 15:04", from, loc)
	require.NoError(t, err)
	end, err := time.ParseInLocation("2006-01-02 15:04", to, loc)
	require.NoError(t, err)
	for at := r.Next(start); !at.After(end); at = r.Next(at) {
		list = append(list, at.In(loc).Format("02 15:04 MST"))
	}
	return list
}

func TestEveryFromLocalMidnight(t *testing.T) {
	t.Parallel()
	const newYork = "America/New_York"
	six := readRule(t, "{every: 6h, anchor: local, timezone: America/New_York}")
	require.Equal(t, []string{"08 00:00 EST", "08 06:00 EDT", "08 12:00 EDT", "08 18:00 EDT", "09 00:00 EDT"},
		localTicks(t, six, newYork, "2026-03-07 18:00", "2026-03-09 00:00"))
	two := readRule(t, "{every: 2h, anchor: local, timezone: America/New_York}")
	require.Equal(t, []string{"08 00:00 EST", "08 03:00 EDT", "08 04:00 EDT"}, localTicks(t, two, newYork, "2026-03-07 22:00", "2026-03-08 05:00"),
		"a local time that is skipped ticks right after the gap")
	half := readRule(t, "{every: 30m, anchor: local, timezone: America/New_York}")
	require.Equal(t, []string{"01 01:00 EDT", "01 01:30 EDT", "01 01:00 EST", "01 01:30 EST", "01 02:00 EST"},
		localTicks(t, half, newYork, "2026-11-01 00:30", "2026-11-01 02:00"), "a short period goes on by real time")
	nepal := readRule(t, "{every: 1h, anchor: local, timezone: Asia/Kathmandu}")
	require.Equal(t, []string{"01 01:00 +0545", "01 02:00 +0545"}, localTicks(t, nepal, "Asia/Kathmandu", "2026-11-01 00:30", "2026-11-01 02:00"))
	require.NotEqual(t, readRule(t, "{every: 1h}").Identity(), nepal.Identity())
}

func TestLocalTicksIncrease(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		loc := zone(rt, rapid.SampledFrom([]string{"UTC", "America/New_York", "Australia/Lord_Howe", "Pacific/Apia", "Asia/Kathmandu"}).Draw(rt, "zone"))
		r := localRule{rapid.SampledFrom([]time.Duration{time.Second, 7 * time.Minute / 7, 15 * time.Minute, time.Hour, 2 * time.Hour, 12 * time.Hour}).Draw(rt, "period"), loc}
		at := time.Unix(rapid.Int64Range(0, 4e9).Draw(rt, "from"), rapid.Int64Range(0, 999_999_999).Draw(rt, "ns"))
		for range 30 {
			tick := r.Next(at)
			require.True(rt, tick.After(at))
			require.Zero(rt, tick.Nanosecond())
			at = tick
		}
	})
}

func TestBoundedAndSingleTimes(t *testing.T) {
	t.Parallel()
	r := readRule(t, "{every: 10s, from: '2026-01-01T00:00:00Z', until: '2026-01-01T00:00:20Z'}")
	begin := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	require.Equal(t, []time.Time{begin, begin.Add(10 * time.Second), begin.Add(20 * time.Second)}, Upcoming(r, time.Unix(0, 0), 9))
	require.Empty(t, Upcoming(r, begin.Add(20*time.Second), 9))
	require.Equal(t, "every 10s, from 2026-01-01T00:00:00Z, until 2026-01-01T00:00:20Z", r.String())
	once := readRule(t, "{at: '2026-07-01 08:00', timezone: Asia/Shanghai}")
	require.Equal(t, []time.Time{time.Date(2026, 7, 1, 0, 0, 0, 0, time.UTC)}, Upcoming(once, begin, 9))
	require.Empty(t, Upcoming(once, once.Next(begin), 9))
	gap := readRule(t, "{at: '2026-03-08T02:30', timezone: America/New_York}")
	require.Equal(t, "2026-03-08T03:00:00-04:00", gap.Next(begin).In(zone(t, "America/New_York")).Format(time.RFC3339))
}

// TestJitterMovesEachTickAlone: the ticks stay in order, each of them stays before the next one of the rule, and every scheduler finds the
// same, from wherever it asks.
func TestJitterMovesEachTickAlone(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		period := time.Duration(rapid.Int64Range(2, 7200).Draw(rt, "period")) * time.Second
		inner, err := ParseEvery(period)
		require.NoError(rt, err)
		begin := time.Unix(rapid.Int64Range(0, 4e9).Draw(rt, "from"), 0).UTC()
		until := begin.Add(50*period + time.Duration(rapid.Int64Range(0, 7200).Draw(rt, "more"))*time.Second)
		r := jitterRule{boundedRule{inner, begin, until}, rapid.StringMatching("[a-z]{1,8}").Draw(rt, "name"),
			time.Duration(rapid.Int64Range(1, int64(period/time.Second)-1).Draw(rt, "jitter")) * time.Second, until}
		ticks, plain := Upcoming(r, begin.Add(-period), 100), Upcoming(r.Rule, begin.Add(-period), 100)
		require.Len(rt, ticks, len(plain), "no tick is lost")
		for i, tick := range ticks {
			require.False(rt, tick.Before(plain[i]))
			require.LessOrEqual(rt, tick.Sub(plain[i]), r.jitter)
			require.False(rt, tick.After(until))
			if i+1 < len(ticks) {
				require.True(rt, tick.Before(plain[i+1]))
			}
			require.Equal(rt, tick, r.Next(tick.Add(-time.Nanosecond)), "from wherever one asks")
		}
	})
}

func TestRulesInWords(t *testing.T) {
	t.Parallel()
	for text, want := range map[string][2]string{
		"{every: 90s}":                   {"每 1 分钟 30 秒一次", "every 1 minute 30 seconds"},
		"{every: 36h}":                   {"每 1 天 12 小时一次", "every 1 day 12 hours"},
		"{cron: '@hourly'}":              {"每小时第 0 分（UTC）", "at minute 0 of the hour (UTC)"},
		"{cron: '*/15 * * * *'}":         {"每 15 分钟（UTC）", "every 15 minutes (UTC)"},
		"{cron: '* * * * *'}":            {"每分钟（UTC）", "every minute (UTC)"},
		"{cron: '0 8 * * 1-5'}":          {"每周一–周五 08:00（UTC）", "at 08:00, on Monday–Friday (UTC)"},
		"{cron: '30 8,20 1,15 * *'}":     {"每月 1, 15 日 08:30、20:30（UTC）", "at 08:30, 20:30, on day 1, 15 of the month (UTC)"},
		"{cron: '0 0 1 1 *'}":            {"1 月 1 日 00:00（UTC）", "at 00:00, on day 1 of the month, in January (UTC)"},
		"{cron: '*/5 8-18 * * *'}":       {"每天 8–18 点之内，每 5 分钟（UTC）", "every 5 minutes, in the hours 8–18, every day (UTC)"},
		"{cron: '0 0 13 * fri'}":         {"每月 13 日或周五 00:00（UTC）", "at 00:00, on day 13 of the month or on Friday (UTC)"},
		"{every: 6h, anchor: local}":     {"从当地零点起每 6 小时一次（UTC）", "every 6 hours from local midnight on (UTC)"},
		"{at: '2030-01-01T08:00:00Z'}":   {"只在 2030-01-01 08:00:00（UTC）一次", "once, at 2030-01-01 08:00:00 (UTC)"},
		"{every: 1h, until: 2030-01-01}": {"每 1 小时一次，到 2030-01-01T00:00:00Z 为止", "every 1 hour, until 2030-01-01T00:00:00Z"},
	} {
		zh, en := Words(readRule(t, text))
		require.Equal(t, want, [2]string{zh, en}, text)
	}
}

func TestChangesOfLocalTime(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	list := Changes(zone(t, "Europe/Berlin"), at, 2)
	require.Equal(t, []Change{
		{time.Date(2026, 3, 29, 1, 0, 0, 0, time.UTC), 3600, 7200}, {time.Date(2026, 10, 25, 1, 0, 0, 0, time.UTC), 7200, 3600},
	}, list)
	require.Empty(t, Changes(zone(t, "Asia/Shanghai"), at, 2))
}

func TestTheHashOfAFileWithoutLimitsIsTheSame(t *testing.T) {
	t.Parallel()
	s, err := load(t, "schedules:\n  - {name: a, task: test.noop, every: 5s}\n  - {name: b, task: test.sum, args: {n: 1, m: 2}, cron: '0 8 * * 1', paused: true}\n")
	require.NoError(t, err)
	require.Equal(t, "9b7a644a31123d143c5411bc1607591f", s.Hash(), "builds before give this one, and run beside this one")
	merged, errs := Reader{Catalog: catalog(t)}.Merge(s, Snapshot{Revision: 7})
	require.Empty(t, errs)
	require.Equal(t, s.Hash(), merged.Hash())
}
