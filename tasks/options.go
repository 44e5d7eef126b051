package tasks

import (
	"time"
)

// The bounds of options. A value outside gives an *OptionError.
const (
	MaxDelay      = 10 * 366 * 24 * time.Hour // countdown and eta, from now
	MaxRetention  = 366 * 24 * time.Hour      // also of UniqueFor and of expires after the eta
	MaxTimeout    = 7 * 24 * time.Hour        // also of a backoff's cap
	MaxMaxRetries = 10_000
)

// Option changes how a task is enqueued and run. Those that name one task (ID, ETA, Expires) are for calls only, the
// others serve Define too; a call's option wins over its definition's, and a later one over an earlier.
type Option func(*options)

type options struct {
	queue      string
	id         string
	countdown  time.Duration
	eta        time.Time
	expires    time.Time
	expiresIn  time.Duration
	maxRetries int
	backoff    backoff
	timeout    time.Duration
	uniqueFor  time.Duration
	retention  time.Duration
}

func standardOptions() options {
	return options{
		queue:      "default",
		maxRetries: 3,
		backoff:    standardBackoff,
		timeout:    defaultTimeout,
		retention:  time.Hour,
	}
}

const defaultTimeout = 30 * time.Minute

// Queue sends the task to the named queue. See ValidQueue.
func Queue(name string) Option { return func(o *options) { o.queue = name } }

// ID chooses the task's id, so that enqueueing it again is harmless: while the first is queued, running or retained,
// the second gives ErrDuplicate. An id is unique within its queue. See ValidID.
func ID(id string) Option { return func(o *options) { o.id = id } }

// Countdown starts the task no earlier than d from now; 0 is at once. It excludes ETA.
func Countdown(d time.Duration) Option { return func(o *options) { o.countdown = d } }

// ETA starts the task no earlier than t, and about a second later at most when a worker is free. A time in the past
// is at once. It excludes Countdown.
func ETA(t time.Time) Option { return func(o *options) { o.eta = t } }

// Expires revokes the task if no worker has begun it before t. It excludes ExpiresIn.
func Expires(t time.Time) Option {
	return func(o *options) { o.expires, o.expiresIn = t, 0 }
}

// ExpiresIn is Expires counted from the eta, or from now without one; 0 is never.
func ExpiresIn(d time.Duration) Option {
	return func(o *options) { o.expiresIn, o.expires = d, time.Time{} }
}

// MaxRetries bounds the attempts after the first. 0 is a single attempt. A run that dies with its worker does not count.
func MaxRetries(n int) Option { return func(o *options) { o.maxRetries = n } }

// Backoff waits about base before the first retry and twice as long before each further one, at most limit.
func Backoff(base, limit time.Duration) Option {
	return func(o *options) { o.backoff.base, o.backoff.limit = base, limit }
}

// Jitter turns full jitter on (the default) or off: a uniformly random part of the backoff instead of the whole.
func Jitter(on bool) Option { return func(o *options) { o.backoff.exact = !on } }

// Timeout bounds one attempt: the handler's context ends after d, and the attempt counts as failed.
func Timeout(d time.Duration) Option { return func(o *options) { o.timeout = d } }

// UniqueFor refuses, with ErrDuplicate, a second task of the same name, queue and arguments while the first has not
// succeeded, for d at most (whole seconds, rounded up). 0 is off.
func UniqueFor(d time.Duration) Option { return func(o *options) { o.uniqueFor = d } }

// Retention keeps the result of a task that succeeded or was revoked for d (whole seconds, rounded up). With 0 nothing
// is kept: the task is not found as soon as it has succeeded. Failures are kept for 90 days, the latest 10,000 a queue.
func Retention(d time.Duration) Option { return func(o *options) { o.retention = d } }

func (o *options) validateDefaults() error {
	switch {
	case o.id != "":
		return optionErrorf("id", "belongs to a call, not to a definition")
	case !o.eta.IsZero():
		return optionErrorf("eta", "belongs to a call, not to a definition")
	case !o.expires.IsZero():
		return optionErrorf("expires", "a time belongs to a call; a definition takes ExpiresIn")
	}
	return o.validate(time.Now())
}

func (o *options) validate(now time.Time) error {
	switch {
	case !ValidQueue(o.queue):
		return optionErrorf("queue", "%q is not 1 to 64 letters, digits, '_' or '-', the first a letter or digit", o.queue)
	case o.id != "" && !ValidID(o.id):
		return optionErrorf("id", "want 1 to 128 of the characters A-Z a-z 0-9 . _ : @ -")
	case o.countdown != 0 && !o.eta.IsZero():
		return optionErrorf("eta", "excludes countdown: give one of them")
	case o.countdown < 0 || o.countdown > MaxDelay:
		return optionErrorf("countdown", "%v is not between 0 and 10 years", o.countdown)
	case o.eta.After(now.Add(MaxDelay)):
		return optionErrorf("eta", "%s is more than 10 years ahead", o.eta.Format(time.RFC3339))
	case o.expiresIn < 0 || o.expiresIn > MaxRetention:
		return optionErrorf("expires", "%v is not between 0 and 366 days", o.expiresIn)
	case o.maxRetries < 0 || o.maxRetries > MaxMaxRetries:
		return optionErrorf("max_retries", "%d is not between 0 and %d", o.maxRetries, MaxMaxRetries)
	case o.timeout < time.Millisecond || o.timeout > MaxTimeout:
		return optionErrorf("timeout", "%v is not between 1 ms and 7 days", o.timeout)
	case o.uniqueFor < 0 || o.uniqueFor > MaxRetention:
		return optionErrorf("unique_for", "%v is not between 0 and 366 days", o.uniqueFor)
	case o.retention < 0 || o.retention > MaxRetention:
		return optionErrorf("retention", "%v is not between 0 and 366 days", o.retention)
	}
	return o.backoff.validate()
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
		end = now.Add(o.expiresIn)
	}
	switch {
	case end.IsZero():
	case !start.IsZero() && !end.After(start):
		return start, end, optionErrorf("expires", "is not after the eta: the task could never run")
	case !end.After(now):
		return start, end, optionErrorf("expires", "is in the past: the task could never run")
	}
	return start, end, nil
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
