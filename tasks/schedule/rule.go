package schedule

import (
	"fmt"
	"time"
)

// rule says when an entry ticks.
type Rule interface {
	// Next returns the first tick after the given instant, in whole seconds; zero when there is none.
	Next(after time.Time) time.Time
	// String is the rule as the operator reads it.
	String() string
	// Identity differs between any two rules with different ticks.
	Identity() string
}

const (
	MinEvery = time.Second
	MaxEvery = 366 * 24 * time.Hour
)

// everyRule ticks at the Unix times that are multiples of the period.
type everyRule time.Duration

// ParseEvery makes the rule of a period of whole seconds.
func ParseEvery(period time.Duration) (Rule, error) {
	switch {
	case period < MinEvery || period > MaxEvery:
		return nil, fmt.Errorf("%v is not between 1s and 366 days", period)
	case period%time.Second != 0:
		return nil, fmt.Errorf("%v is not a whole number of seconds", period)
	}
	return everyRule(period), nil
}

func (e everyRule) Next(after time.Time) time.Time {
	period := int64(time.Duration(e) / time.Second)
	periods := after.Unix() / period
	if after.Unix() < 0 && after.Unix()%period != 0 {
		periods--
	}
	return time.Unix((periods+1)*period, 0).UTC()
}

func (e everyRule) String() string   { return "every " + shortDuration(time.Duration(e)) }
func (e everyRule) Identity() string { return e.String() }

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
