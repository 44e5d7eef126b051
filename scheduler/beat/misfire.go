package beat

import (
	"time"

	"github.com/paidui/paidui/tasks/schedule"
)

const (
	lateness   = 5 * time.Second
	maxCatchUp = 1000
)

// missedTicks are the ticks between the last settled one and now, and what the misfire rule makes of them.
type missedTicks struct {
	run    []time.Time // to enqueue, ascending
	count  int         // of ticks that are due
	missed int         // of them, whether or not they are in run
	more   bool        // count and missed are lower bounds
	newest time.Time   // the last tick that is due; zero when none is

	dropped time.Time // the last of those before run that are not in it; zero when none is
}

// ticksBetween applies the misfire rule to the ticks after settled and not after now.
func ticksBetween(r schedule.Rule, misfire Misfire, settled, now time.Time) missedTicks {
	ticks, more := newestTicks(r, settled, now, maxCatchUp+1)
	if len(ticks) == 0 {
		return missedTicks{}
	}
	last := len(ticks) - 1
	d := missedTicks{count: len(ticks), missed: len(ticks), more: more, newest: ticks[last]}
	if now.Sub(d.newest) <= lateness {
		d.missed = last
	}
	begin := 0
	switch misfire {
	case schedule.MisfireSkip:
		begin = d.missed
	case schedule.MisfireOnce:
		begin = last
	case schedule.MisfireAll:
		begin = max(0, len(ticks)-maxCatchUp)
	}
	d.run = ticks[begin:]
	if begin > 0 {
		d.dropped = ticks[begin-1]
	}
	return d
}

// newestTicks lists at least the newest n ticks in (from, to], ascending, fewer when there are no more; more tells that
// older ones were left out. It widens its window backwards from the end, so that a schedule that was silent for a year
// costs no walk through that year.
func newestTicks(r schedule.Rule, from, to time.Time, n int) (ticks []time.Time, more bool) {
	if first := r.Next(from); first.IsZero() || first.After(to) {
		return nil, false
	}
	for window := time.Minute; ; window *= 2 {
		start, whole := to.Add(-window), false
		if !start.After(from) || window > schedule.MaxEvery*100 {
			start, whole = from, true
		}
		ticks = ticks[:0]
		for t := r.Next(start); !t.IsZero() && !t.After(to); t = r.Next(t) {
			ticks = append(ticks, t)
		}
		if whole || len(ticks) >= n {
			dropped := max(0, len(ticks)-n)
			return ticks[dropped:], !whole || dropped > 0
		}
	}
}
