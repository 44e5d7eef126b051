package tasks

import "time"

// times resolves countdown, eta and expires against now. A zero start is "at once", a zero end is "never".
func (o *options) times(now time.Time) (start, end time.Time, err error) {
	switch {
	case o.countdown > 0:
		start = now.Add(o.countdown)
	case o.eta.After(now):
		start = o.eta
	}
	switch {
	case !o.expires.IsZero():
		end = o.expires
	case o.expiresIn > 0 && !start.IsZero():
		end = start.Add(o.expiresIn)
	case o.expiresIn > 0:
		end = o.windowEnd(now).Add(o.expiresIn)
	}
	switch {
	case end.IsZero():
	case !start.IsZero() && !end.After(start):
		return start, end, optionErrorf("expires", "is not after the eta: the task could never run")
	case o.debounce > 0 && !end.After(o.windowEnd(now)):
		return start, end, optionErrorf("expires", "is not after the window of debounce: the task could never run")
	case !end.After(now):
		return start, end, optionErrorf("expires", "is in the past: the task could never run")
	}
	return start, end, nil
}

// windowEnd is when a debounced task runs at the latest, and now for any other.
func (o *options) windowEnd(now time.Time) time.Time {
	if o.debounce == 0 {
		return now
	}
	return ceilSecond(now.Add(ceilSeconds(o.debounce)))
}

// ceilSecond rounds up, because asynq stores times in whole seconds and rounds them down.
func ceilSecond(t time.Time) time.Time {
	if whole := t.Truncate(time.Second); whole.Before(t) {
		return whole.Add(time.Second)
	}
	return t
}

func ceilSeconds(d time.Duration) time.Duration {
	return (d + time.Second - 1).Truncate(time.Second)
}
