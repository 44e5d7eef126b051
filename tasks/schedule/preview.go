package schedule

import (
	"time"
)

// MaxPreview is how many ticks a preview may have.
const MaxPreview = 100

// Change is a change of a zone's offset.
type Change struct {
	At         time.Time
	FromOffset int // seconds east of UTC
	ToOffset   int
}

// Upcoming returns the next ticks of a rule after a time, n at most.
func Upcoming(r Rule, after time.Time, n int) []time.Time {
	list := make([]time.Time, 0, n)
	for tick := r.Next(after); !tick.IsZero() && len(list) < n; tick = r.Next(tick) {
		list = append(list, tick)
	}
	return list
}

// changesWithin bounds the search for changes of local time: some zones will have none.
const changesWithin = 5 * 366 * day

// Changes returns the next changes of a zone's offset after a time, n at most.
func Changes(loc *time.Location, after time.Time, n int) []Change {
	list := []Change{}
	for at := after.In(loc); len(list) < n; {
		_, ends := at.ZoneBounds()
		if ends.IsZero() || ends.Sub(after) > changesWithin {
			return list
		}
		_, from := ends.Add(-time.Second).Zone()
		_, to := ends.Zone()
		if from != to {
			list = append(list, Change{ends.UTC(), from, to})
		}
		at = ends
	}
	return list
}
