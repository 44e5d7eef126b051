package schedule

import (
	"time"
)

// onceRule ticks at one time.
type onceRule struct {
	at  time.Time
	loc *time.Location
}

func (r onceRule) Next(after time.Time) time.Time {
	if r.at.After(after) {
		return r.at
	}
	return time.Time{}
}

func (r onceRule) String() string   { return "at " + r.at.In(r.loc).Format(time.RFC3339) }
func (r onceRule) Identity() string { return "at " + r.at.UTC().Format(time.RFC3339) }

// boundedRule ticks as another does, from a time until another, both included. A zero time is no bound.
type boundedRule struct {
	Rule
	from, until time.Time
}

func (r boundedRule) Next(after time.Time) time.Time {
	if before := r.from.Add(-time.Second); !r.from.IsZero() && after.Before(before) {
		after = before
	}
	tick := r.Rule.Next(after)
	if !r.until.IsZero() && tick.After(r.until) {
		return time.Time{}
	}
	return tick
}

func (r boundedRule) String() string {
	text := r.Rule.String()
	if !r.from.IsZero() {
		text += ", from " + r.from.In(locationOf(r.Rule)).Format(time.RFC3339)
	}
	if !r.until.IsZero() {
		text += ", until " + r.until.In(locationOf(r.Rule)).Format(time.RFC3339)
	}
	return text
}

func (r boundedRule) Identity() string {
	text := r.Rule.Identity()
	if !r.from.IsZero() {
		text += " from " + r.from.UTC().Format(time.RFC3339)
	}
	if !r.until.IsZero() {
		text += " until " + r.until.UTC().Format(time.RFC3339)
	}
	return text
}

// timeForms are the texts of a time, besides RFC 3339, that go by the entry's time zone.
var timeForms = []string{"2006-01-02T15:04:05", "2006-01-02 15:04:05", "2006-01-02T15:04", "2006-01-02 15:04", time.DateOnly}

// The times that an entry may name.
var (
	earliestTime = time.Date(1970, 1, 1, 0, 0, 0, 0, time.UTC)
	latestTime   = time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC)
)

// parseTime reads a time of whole seconds. A local time that the clock skips is the first one after the gap, and one that it
// shows twice is the first.
func parseTime(text string, loc *time.Location) (t time.Time, ok bool) {
	t, err := time.Parse(time.RFC3339, text)
	for i := 0; err != nil && i < len(timeForms); i++ {
		var wall time.Time
		if wall, err = time.Parse(timeForms[i], text); err == nil {
			day := civilDate{wall.Year(), wall.Month(), wall.Day()}
			t = day.instantOf(wall.Hour()*3600+wall.Minute()*60+wall.Second(), loc)
		}
	}
	return t.UTC(), err == nil && t.Nanosecond() == 0 && !t.Before(earliestTime) && t.Before(latestTime)
}
