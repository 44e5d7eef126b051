package schedule

import "time"

// civilDate is a date without a time zone.
type civilDate struct {
	year  int
	month time.Month
	day   int
}

func (c civilDate) Next() civilDate {
	year, month, day := time.Date(c.year, c.month, c.day+1, 0, 0, 0, 0, time.UTC).Date()
	return civilDate{year, month, day}
}

func (c civilDate) weekday() time.Weekday {
	return time.Date(c.year, c.month, c.day, 0, 0, 0, 0, time.UTC).Weekday()
}

func (c civilDate) contains(t time.Time) bool {
	year, month, day := t.Date()
	return civilDate{year, month, day} == c
}

// instant returns the instant of a local time of the day, in minutes after its midnight: the first such instant when the
// clock shows the time twice, and the first instant after the gap when the clock skips it. The result does not
// decrease with the local time.
func (c civilDate) instant(minute int, loc *time.Location) time.Time {
	return c.instantOf(60*minute, loc)
}

// instantOf is instant with seconds after midnight.
func (c civilDate) instantOf(second int, loc *time.Location) time.Time {
	t := time.Date(c.year, c.month, c.day, 0, 0, second, 0, loc)
	// wall is the local time as if it were UTC; time.Date resolves gaps and repetitions in ways that it leaves open.
	wall := time.Date(c.year, c.month, c.day, 0, 0, second, 0, time.UTC)
	begins, ends := t.ZoneBounds()
	switch shown := wallOf(t); {
	case shown.After(wall):
		return begins
	case shown.Before(wall):
		return ends
	}
	if begins.IsZero() {
		return t
	}
	// The same local time an offset earlier is the first one, if that offset still held then.
	_, offset := begins.Add(-time.Second).Zone()
	if first := wall.Add(-time.Duration(offset) * time.Second); first.Before(begins) && wallOf(first.In(loc)).Equal(wall) {
		return first.In(loc)
	}
	return t
}

func wallOf(t time.Time) time.Time {
	return time.Date(t.Year(), t.Month(), t.Day(), t.Hour(), t.Minute(), t.Second(), 0, time.UTC)
}
