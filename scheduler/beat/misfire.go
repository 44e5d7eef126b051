package beat

import "time"

// Misfire says what becomes of ticks that were missed: those that are older than lateness by the time a scheduler comes
// to them, because none ran or Redis was away, and those after which another is due already. The last one that is due is
// merely late while it is younger, and is enqueued under each rule.
type Misfire string

const (
	// MisfireSkip drops missed ticks.
	MisfireSkip Misfire = "skip"
	// MisfireOnce, the default, makes up for all missed ticks with one: the newest that is due.
	MisfireOnce Misfire = "once"
	// MisfireAll enqueues every missed tick, the oldest first, but at most the newest 1000.
	MisfireAll Misfire = "all"
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
}

// ticksBetween applies the misfire rule to the ticks after settled and not after now.
func ticksBetween(r rule, misfire Misfire, settled, now time.Time) missedTicks {
	ticks, more := newestTicks(r, settled, now, maxCatchUp)
	if len(ticks) == 0 {
		return missedTicks{}
	}
	last := len(ticks) - 1
	d := missedTicks{run: ticks, count: len(ticks), missed: len(ticks), more: more, newest: ticks[last]}
	if now.Sub(d.newest) <= lateness {
		d.missed = last
	}
	switch misfire {
	case MisfireSkip:
		d.run = ticks[d.missed:]
	case MisfireOnce:
		d.run = ticks[last:]
	case MisfireAll:
	}
	return d
}

// newestTicks lists at least the newest n ticks in (from, to], ascending, fewer when there are no more; more tells that
// older ones were left out. It widens its window backwards from the end, so that a schedule that was silent for a year
// costs no walk through that year.
func newestTicks(r rule, from, to time.Time, n int) (ticks []time.Time, more bool) {
	if first := r.next(from); first.IsZero() || first.After(to) {
		return nil, false
	}
	for window := time.Minute; ; window *= 2 {
		start, whole := to.Add(-window), false
		if !start.After(from) || window > maxEvery*100 {
			start, whole = from, true
		}
		ticks = ticks[:0]
		for t := r.next(start); !t.IsZero() && !t.After(to); t = r.next(t) {
			ticks = append(ticks, t)
		}
		if whole || len(ticks) >= n {
			dropped := max(0, len(ticks)-n)
			return ticks[dropped:], !whole || dropped > 0
		}
	}
}
