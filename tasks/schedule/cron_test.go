package schedule

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func zone(t rapid.TB, name string) *time.Location {
	t.Helper()
	loc, err := time.LoadLocation(name)
	require.NoError(t, err)
	return loc
}

// ticksOf lists the ticks of a rule in (from, to], as local times with their offset.
func ticksOf(t *testing.T, text, location, from, to string) []string {
	t.Helper()
	loc := zone(t, location)
	r, err := ParseCron(text, loc)
	require.NoError(t, err)
	start, err := time.ParseInLocation("2006-01-02 15:04", from, loc)
	require.NoError(t, err)
	end, err := time.ParseInLocation("2006-01-02 15:04", to, loc)
	require.NoError(t, err)
	var ticks []string
	for at := r.Next(start); !at.IsZero() && !at.After(end); at = r.Next(at) {
		ticks = append(ticks, at.In(loc).Format("02 15:04 MST"))
	}
	return ticks
}

func TestCronAcrossChangesOfLocalTime(t *testing.T) {
	t.Parallel()
	const newYork = "America/New_York"
	for _, c := range []struct {
		name, cron, zone, from, to string
		want                       []string
	}{
		{
			"a skipped time runs at the next valid moment", "30 2 * * *", newYork, "2026-03-07 00:00", "2026-03-10 00:00",
			[]string{"07 02:30 EST", "08 03:00 EDT", "09 02:30 EDT"},
		},
		{
			"several skipped times share one tick", "*/20 2 * * *", newYork, "2026-03-08 00:00", "2026-03-09 00:00",
			[]string{"08 03:00 EDT"},
		},
		{
			"a skipped time and the next valid one share a tick", "0,30 2,3 * * *", newYork, "2026-03-08 00:00", "2026-03-09 00:00",
			[]string{"08 03:00 EDT", "08 03:30 EDT"},
		},
		{
			"a repeated time runs the first time only", "30 1 * * *", newYork, "2026-10-31 00:00", "2026-11-03 00:00",
			[]string{"31 01:30 EDT", "01 01:30 EDT", "02 01:30 EST"},
		},
		{
			"each repeated time runs once", "*/30 1,2 * * *", newYork, "2026-11-01 00:00", "2026-11-02 00:00",
			[]string{"01 01:00 EDT", "01 01:30 EDT", "01 02:00 EST", "01 02:30 EST"},
		},
		{
			"every hour ticks through the gap", "30 * * * *", newYork, "2026-03-08 00:45", "2026-03-08 04:45",
			[]string{"08 01:30 EST", "08 03:30 EDT", "08 04:30 EDT"},
		},
		{
			"every hour ticks through the repetition", "30 * * * *", newYork, "2026-11-01 00:00", "2026-11-01 02:45",
			[]string{"01 00:30 EDT", "01 01:30 EDT", "01 01:30 EST", "01 02:30 EST"},
		},
		{
			"@hourly is every hour", "@hourly", newYork, "2026-11-01 00:30", "2026-11-01 02:30",
			[]string{"01 01:00 EDT", "01 01:00 EST", "01 02:00 EST"},
		},
		{
			"every second hour is local time", "0 */2 * * *", newYork, "2026-03-07 23:30", "2026-03-08 06:30",
			[]string{"08 00:00 EST", "08 03:00 EDT", "08 04:00 EDT", "08 06:00 EDT"},
		},
		{
			"a gap at midnight", "@daily", "America/Sao_Paulo", "2018-11-03 12:00", "2018-11-05 12:00",
			[]string{"04 01:00 -02", "05 00:00 -02"},
		},
		{
			"a repetition before midnight", "30 23 * * *", "America/Sao_Paulo", "2018-02-17 12:00", "2018-02-19 12:00",
			[]string{"17 23:30 -02", "18 23:30 -03"},
		},
		{
			"a gap of half an hour", "15 2 * * *", "Australia/Lord_Howe", "2026-10-03 12:00", "2026-10-05 12:00",
			[]string{"04 02:30 +11", "05 02:15 +11"},
		},
		{
			"a repetition of half an hour", "45 1 * * *", "Australia/Lord_Howe", "2026-04-04 12:00", "2026-04-06 12:00",
			[]string{"05 01:45 +11", "06 01:45 +1030"},
		},
		{
			"a whole day that is skipped", "0 8 30 12 *", "Pacific/Apia", "2011-12-29 00:00", "2012-12-30 12:00",
			[]string{"31 00:00 +14", "30 08:00 +14"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, c.want, ticksOf(t, c.cron, c.zone, c.from, c.to))
		})
	}
}

// A scheduler may start again at any moment of the repeated hour, and must not see the hour's local times as new.
func TestCronFromWithinTheRepeatedHour(t *testing.T) {
	t.Parallel()
	loc := zone(t, "America/New_York")
	firstPass := time.Date(2026, 11, 1, 5, 10, 0, 0, time.UTC)  // 01:10 EDT
	secondPass := time.Date(2026, 11, 1, 6, 10, 0, 0, time.UTC) // 01:10 EST
	require.Equal(t, "01:10 EDT", firstPass.In(loc).Format("15:04 MST"))
	require.Equal(t, "01:10 EST", secondPass.In(loc).Format("15:04 MST"))

	daily, err := ParseCron("30 1 * * *", loc)
	require.NoError(t, err)
	require.Equal(t, "01 01:30 EDT", daily.Next(firstPass).In(loc).Format("02 15:04 MST"))
	require.Equal(t, "02 01:30 EST", daily.Next(secondPass).In(loc).Format("02 15:04 MST"))

	fives, err := ParseCron("*/5 * * * *", loc)
	require.NoError(t, err)
	require.Equal(t, "01 01:15 EST", fives.Next(secondPass).In(loc).Format("02 15:04 MST"))
	require.Equal(t, "01 01:00 EST", fives.Next(firstPass.Add(45*time.Minute)).In(loc).Format("02 15:04 MST"))
}

func TestCronFields(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		cron string
		from string
		want []string
	}{
		{"0 8 * * 1", "2026-01-01 00:00", []string{"05 08:00 UTC", "12 08:00 UTC"}},
		{"0 8 * * mon", "2026-01-01 00:00", []string{"05 08:00 UTC", "12 08:00 UTC"}},
		{"0 8 * jan MON-tue", "2026-01-01 00:00", []string{"05 08:00 UTC", "06 08:00 UTC"}},
		{"0 0 * * 7", "2026-01-01 00:00", []string{"04 00:00 UTC", "11 00:00 UTC"}},
		{"0 0 * * sat-sun", "2026-01-01 00:00", []string{"03 00:00 UTC", "04 00:00 UTC", "10 00:00 UTC"}},
		{"10-40/15 22-1 * * *", "2026-01-01 20:00", []string{"01 22:10 UTC", "01 22:25 UTC", "01 22:40 UTC", "01 23:10 UTC"}},
		{"0 0 13 * fri", "2026-01-01 00:00", []string{"02 00:00 UTC", "09 00:00 UTC", "13 00:00 UTC", "16 00:00 UTC"}},
		{"0 0 */2 * fri", "2026-01-01 00:00", []string{"09 00:00 UTC", "23 00:00 UTC"}},
		{"0 0 29 2 *", "2026-01-01 00:00", []string{"29 00:00 UTC"}},
		{"@weekly", "2026-01-01 00:00", []string{"04 00:00 UTC", "11 00:00 UTC"}},
		{"@monthly", "2026-01-15 00:00", []string{"01 00:00 UTC", "01 00:00 UTC"}},
		{"@yearly", "2026-01-15 00:00", []string{"01 00:00 UTC"}},
		{" 5   4 * *\t* ", "2026-01-01 00:00", []string{"01 04:05 UTC", "02 04:05 UTC"}},
	} {
		t.Run(c.cron, func(t *testing.T) {
			t.Parallel()
			got := ticksOf(t, c.cron, "UTC", c.from, "2029-01-01 00:00")
			require.GreaterOrEqual(t, len(got), len(c.want))
			require.Equal(t, c.want, got[:len(c.want)])
		})
	}
}

func TestCronRefuses(t *testing.T) {
	t.Parallel()
	for text, reason := range map[string]string{
		"":                    "empty",
		"61 * * * *":          `minute: "61" is above the maximum (59)`,
		"* 24 * * *":          "maximum (23)",
		"* * 0 * *":           "minimum (1)",
		"* * * 13 *":          "maximum (12)",
		"* * * * 8":           `day of week: "8" is above the maximum (7)`,
		"* * * *":             "has 4 fields",
		"0 * * * * *":         "has 6 fields",
		"*/0 * * * *":         "positive",
		"*/60 * * * *":        "step",
		"1,,2 * * * *":        "is not a number",
		", * * * *":           "is not a number",
		"*-5 * * * *":         "is not a number",
		"+5 * * * *":          "is not a number",
		"1-2-3 * * * *":       "is not a number",
		"* 31-1 * * *":        `hour: "31-1" is above the maximum (23)`,
		"* * 6-0 * *":         `day of month: "6-0" is below the minimum (1)`,
		"1/2/3 * * * *":       `minute: the step of "1/2/3" is not a number`,
		"* * * foo *":         `month: "foo"`,
		"0 0 * * fri-mon/2":   "takes no step",
		"0 0 30 2 *":          "never runs",
		"@every 5s":           `use "every"`,
		"@reboot":             "@reboot",
		"TZ=UTC 0 0 * * *":    "timezone",
		"0 0 L * *":           `day of month: "L"`,
		"H * * * *":           `minute: "H" is not a number`,
		"99999999999 * * * *": "99999999999",
	} {
		t.Run(text, func(t *testing.T) {
			t.Parallel()
			_, err := ParseCron(text, time.UTC)
			require.ErrorContains(t, err, reason)
		})
	}
}

// A rule's ticks are those that follow from its definition, minute by minute.
func TestCronAgainstItsDefinition(t *testing.T) {
	t.Parallel()
	zones := []string{"UTC", "America/New_York", "Europe/Berlin", "Australia/Lord_Howe", "America/Sao_Paulo", "Asia/Shanghai", "America/Havana", "Africa/Casablanca"}
	rapid.Check(t, func(rt *rapid.T) {
		loc := zone(rt, rapid.SampledFrom(zones).Draw(rt, "zone"))
		minutes := rapid.SampledFrom([]string{"0", "30", "*/7", "*", "5,50", "59"}).Draw(rt, "minutes")
		hours := rapid.SampledFrom([]string{"*", "1", "2", "0-3", "*/2", "23", "0", "1-2"}).Draw(rt, "hours")
		r, err := parseCron(minutes+" "+hours+" * * *", loc)
		require.NoError(rt, err)
		start := aroundChange(rt, loc)
		end := start.Add(26 * time.Hour)

		want := map[int64]bool{}
		seen := map[time.Time]bool{}
		matches := func(w time.Time) bool { return r.hour&(1<<w.Hour()) != 0 && r.minute&(1<<w.Minute()) != 0 }
		last := wallOf(start.Add(-3 * time.Hour).In(loc))
		for at := start.Add(-3 * time.Hour); !at.After(end); at = at.Add(time.Minute) {
			wall := wallOf(at.In(loc))
			if r.everyHourRun {
				want[at.Unix()] = matches(wall)
				continue
			}
			// Local times that the clock has reached or jumped over since the minute before, for the first time.
			for w := last.Add(time.Minute); !w.After(wall); w = w.Add(time.Minute) {
				if matches(w) && !seen[w] {
					want[at.Unix()] = true
				}
				seen[w] = true
			}
			last = wall
		}
		var previous time.Time
		for at := r.Next(start.Add(-time.Nanosecond)); at.Before(end); at = r.Next(at) {
			require.True(rt, at.After(previous), "ticks increase strictly")
			require.True(rt, want[at.Unix()], "unexpected tick %s", at.In(loc))
			delete(want, at.Unix())
			previous = at
		}
		for at, expected := range want {
			if expected && at >= start.Unix() && at < end.Unix() {
				rt.Fatalf("missing tick %s", time.Unix(at, 0).In(loc))
			}
		}
	})
}

// aroundChange picks a whole minute up to a day before one of the zone's changes of offset, if it has any.
func aroundChange(t *rapid.T, loc *time.Location) time.Time {
	at := time.Date(2017, 1, 1, 0, 0, 0, 0, loc).Add(time.Duration(rapid.IntRange(0, 3000).Draw(t, "days")) * 24 * time.Hour)
	if _, change := at.ZoneBounds(); !change.IsZero() {
		at = change.Truncate(time.Minute)
	}
	return at.Add(-time.Duration(rapid.IntRange(0, 24*60).Draw(t, "minutes before")) * time.Minute)
}

// From whatever instant one asks, with whatever rule, the next tick lies after it, and no local time ticks twice.
func TestCronNextIsLater(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		loc := zone(rt, rapid.SampledFrom([]string{"America/New_York", "Australia/Lord_Howe", "Asia/Shanghai", "Africa/Monrovia"}).Draw(rt, "zone"))
		text := strings.Join([]string{
			rapid.SampledFrom([]string{"0", "*", "*/15", "3-40/9"}).Draw(rt, "minute"),
			rapid.SampledFrom([]string{"*", "1", "2", "1,2", "22-2"}).Draw(rt, "hour"),
			rapid.SampledFrom([]string{"*", "1", "8", "31"}).Draw(rt, "dom"),
			rapid.SampledFrom([]string{"*", "mar", "11", "3,11"}).Draw(rt, "month"),
			rapid.SampledFrom([]string{"*", "sun", "mon-fri"}).Draw(rt, "dow"),
		}, " ")
		r, err := parseCron(text, loc)
		if err != nil {
			require.ErrorContains(rt, err, "never runs")
			return
		}
		at := time.Unix(rapid.Int64Range(0, 4e9).Draw(rt, "from"), rapid.Int64Range(0, 999_999_999).Draw(rt, "ns"))
		shown := map[time.Time]bool{}
		for range 30 {
			tick := r.Next(at)
			require.True(rt, tick.After(at))
			require.Zero(rt, tick.Nanosecond())
			if wall := wallOf(tick.In(loc)); !r.everyHourRun {
				require.False(rt, shown[wall], "the local time %s ticks twice", wall)
				shown[wall] = true
			}
			// Whoever asks between two ticks is told the same.
			between := at.Add(time.Duration(rapid.Int64Range(0, int64(tick.Sub(at))-1).Draw(rt, "between")))
			require.True(rt, tick.Equal(r.Next(between)))
			at = tick
		}
	})
}

func FuzzParseCron(f *testing.F) {
	for _, seed := range []string{"0 8 * * 1", "@daily", "*/5 1-3 * jan-mar sat-sun", "61 * * * *", "@every 1s", "5/7 22-2/3 31 2,4 7"} {
		f.Add(seed)
	}
	from := time.Date(2026, 3, 8, 0, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, text string) {
		r, err := parseCron(text, time.UTC)
		if err != nil {
			return
		}
		tick := r.Next(from)
		require.True(t, tick.After(from))
		again, err := parseCron(r.String(), time.UTC)
		require.NoError(t, err, "the canonical text parses")
		require.Equal(t, r.Identity(), again.Identity())
	})
}
