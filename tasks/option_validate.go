package tasks

import "time"

func (o *options) validateDefaults() error {
	switch {
	case o.id != "":
		return optionErrorf("id", "belongs to a call, not to a definition")
	case !o.eta.IsZero():
		return optionErrorf("eta", "belongs to a call, not to a definition")
	case !o.expires.IsZero():
		return optionErrorf("expires", "a time belongs to a call; a definition takes ExpiresIn")
	}
	if err := o.validate(time.Now()); err != nil {
		return err
	}
	_, _, err := o.extra().encodeCallbacks()
	return err
}

// validate checks each option, and those that concern each other, with an *OptionError.
func (o *options) validate(now time.Time) error {
	switch {
	case o.err != nil:
		return o.err
	case !ValidQueue(o.queue):
		return optionErrorf("queue", "%s is not 1 to 64 letters, digits, '_' or '-', the first a letter or digit", quoted(o.queue))
	case o.id != "" && !ValidID(o.id):
		return optionErrorf("id", "want 1 to 128 of the characters A-Z a-z 0-9 . _ : @ -, but not . or .. alone")
	case o.countdown != 0 && !o.eta.IsZero():
		return optionErrorf("eta", "excludes countdown: give one of them")
	case o.countdown < 0 || o.countdown > MaxDelay:
		return optionErrorf("countdown", "%v is not between 0 and 10 years", o.countdown)
	case o.eta.After(now.Add(MaxDelay)):
		return optionErrorf("eta", "%s is more than 10 years ahead", o.eta.Format(time.RFC3339))
	case o.expiresIn < 0 || o.expiresIn > MaxRetention:
		return optionErrorf("expires", "%v is not between 0 and 366 days", o.expiresIn)
	case o.expires.After(now.Add(MaxDelay + MaxRetention)):
		return optionErrorf("expires", "%s is more than 11 years ahead", o.expires.Format(time.RFC3339))
	case o.maxRetries < 0 || o.maxRetries > MaxMaxRetries:
		return optionErrorf("max_retries", "%d is not between 0 and %d", o.maxRetries, MaxMaxRetries)
	case o.retention < 0 || o.retention > MaxRetention:
		return optionErrorf("retention", "%v is not between 0 and 366 days", o.retention)
	}
	if err := o.validateLimits(); err != nil {
		return err
	}
	if err := o.validateUnique(); err != nil {
		return err
	}
	if err := o.validateDurable(); err != nil {
		return err
	}
	if err := o.validateLabels(); err != nil {
		return err
	}
	if o.extras != nil {
		if err := o.extras.validate(now); err != nil {
			return err
		}
		if err := o.validateCallbackIDs(); err != nil {
			return err
		}
	}
	return o.backoff.validate()
}

func (e *extras) validate(now time.Time) error {
	if err := e.validateTags(); err != nil {
		return err
	}
	if err := e.validateHeaders(); err != nil {
		return err
	}
	return e.validateCallbacks(now)
}

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
