package beat

import (
	"fmt"
	"time"
)

// rule says when an entry ticks.
type rule interface {
	// next returns the first tick after the given instant, in whole seconds; zero when there is none.
	next(after time.Time) time.Time
	// String is the rule as the operator reads it.
	String() string
	// identity differs between any two rules with different ticks.
	identity() string
}

const (
	minEvery = time.Second
	maxEvery = 366 * 24 * time.Hour
)

// everyRule ticks at the Unix times that are multiples of the period.
type everyRule time.Duration

func parseEvery(period time.Duration) (everyRule, error) {
	switch {
	case period < minEvery || period > maxEvery:
		return 0, fmt.Errorf("%v is not between 1s and 366 days", period)
	case period%time.Second != 0:
		return 0, fmt.Errorf("%v is not a whole number of seconds", period)
	}
	return everyRule(period), nil
}

func (e everyRule) next(after time.Time) time.Time {
	period := int64(time.Duration(e) / time.Second)
	periods := after.Unix() / period
	if after.Unix() < 0 && after.Unix()%period != 0 {
		periods--
	}
	return time.Unix((periods+1)*period, 0).UTC()
}

func (e everyRule) String() string   { return "every " + shortDuration(time.Duration(e)) }
func (e everyRule) identity() string { return e.String() }

// shortDuration writes 1h instead of 1h0m0s.
func shortDuration(d time.Duration) string {
	var text string
	if hours := d / time.Hour; hours > 0 {
		text += fmt.Sprintf("%dh", hours)
	}
	if minutes := d % time.Hour / time.Minute; minutes > 0 {
		text += fmt.Sprintf("%dm", minutes)
	}
	if seconds := d % time.Minute / time.Second; seconds > 0 {
		text += fmt.Sprintf("%ds", seconds)
	}
	return text
}
