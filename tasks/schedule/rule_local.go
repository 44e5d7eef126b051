package schedule

import (
	"time"
)

const (
	day = 24 * time.Hour
	// byRealTime is the longest period that goes on by real time through a change of local time, as a cron rule does that runs in
	// every hour.
	byRealTime = time.Hour
)

// localRule ticks at the local times that are multiples of the period since midnight. The period divides a day.
type localRule struct {
	period time.Duration
	loc    *time.Location
}

func (r localRule) Next(after time.Time) time.Time {
	if r.period <= byRealTime {
		return r.nextByRealTime(after)
	}
	local := after.In(r.loc)
	date := civilDate{local.Year(), local.Month(), local.Day()}
	for { // a day or two, since a change of local time may leave out a whole day
		for at := time.Duration(0); at < day; at += r.period {
			if tick := date.instantOf(int(at/time.Second), r.loc); tick.After(after) {
				return tick.UTC()
			}
		}
		date = date.Next()
	}
}

// nextByRealTime finds the first instant whose local time is a multiple of the period.
func (r localRule) nextByRealTime(after time.Time) time.Time {
	for from := after.Unix() + 1; ; {
		local := time.Unix(from, 0).In(r.loc)
		_, offset := local.Zone()
		period := int64(r.period / time.Second)
		tick := from
		if over := floorMod(from+int64(offset), period); over != 0 {
			tick += period - over
		}
		_, ends := local.ZoneBounds()
		if ends.IsZero() || tick < ends.Unix() {
			return time.Unix(tick, 0).UTC()
		}
		from = ends.Unix()
	}
}

func floorMod(a, b int64) int64 { return ((a % b) + b) % b }

func (r localRule) String() string { return "every " + shortDuration(r.period) + ", local time" }
func (r localRule) Identity() string {
	return "every " + shortDuration(r.period) + " local " + r.loc.String()
}
