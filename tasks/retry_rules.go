package tasks

import (
	"errors"
	"time"
)

// ErrorMatcher tells whether an error is of some kind. It sees the whole chain of an attempt's error, and may be called
// by many goroutines at a time.
type ErrorMatcher func(err error) bool

// ErrorIs matches an error whose chain holds target, as errors.Is finds it.
func ErrorIs(target error) ErrorMatcher {
	return func(err error) bool { return errors.Is(err, target) }
}

// ErrorAs matches an error whose chain holds one of type E, as errors.As finds it.
func ErrorAs[E error]() ErrorMatcher {
	return func(err error) bool {
		var found E
		return errors.As(err, &found)
	}
}

// RetryOnlyFor lets only errors that one of the matchers matches be retried; any other fails the task at once. An
// attempt that ran out of time ended in context.DeadlineExceeded, one that panicked in a *PanicError. What the handler
// says with RetryIn, Snooze and Permanent wins. It belongs to a definition, and holds in the worker that has it.
func RetryOnlyFor(matchers ...ErrorMatcher) Option {
	return definitionOnly("retry_only_for", func(o *options) { o.rules.only = matchers })
}

// NeverRetryFor fails the task at once for an error that one of the matchers matches, even if RetryOnlyFor has it, too.
// Otherwise it is as RetryOnlyFor.
func NeverRetryFor(matchers ...ErrorMatcher) Option {
	return definitionOnly("never_retry_for", func(o *options) { o.rules.never = matchers })
}

// BackoffFunc asks f how long to wait before the next attempt, instead of Backoff. retry is 1 for the first; err is what
// the attempt ended in. A wait below 0 is 0, one above MaxDelay is MaxDelay. It belongs to a definition, and holds in the
// worker that has it; nil is Backoff. f may be called by many goroutines at a time.
func BackoffFunc(f func(retry int, err error) time.Duration) Option {
	return definitionOnly("backoff_func", func(o *options) { o.rules.backoff = f })
}

// retryRules are what a definition says of retries that is code, and so cannot travel with a task.
type retryRules struct {
	only, never []ErrorMatcher
	backoff     func(retry int, err error) time.Duration
}

// permit tells whether an attempt that ended in err may be repeated.
func (r *retryRules) permit(err error) bool {
	for _, matches := range r.never {
		if matches(err) {
			return false
		}
	}
	if len(r.only) == 0 {
		return true
	}
	for _, matches := range r.only {
		if matches(err) {
			return true
		}
	}
	return false
}

// definitionOnly makes an option that a call is refused.
func definitionOnly(name string, set func(*options)) Option {
	return func(o *options) {
		if !o.defining {
			o.misplaced = name
			return
		}
		set(o)
	}
}
