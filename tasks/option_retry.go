package tasks

import (
	"errors"
	"time"

	"github.com/paidui/paidui/models/away"
)

// ErrorMatcher tells errors apart, by ErrorIs, ErrorAs or StoreAway. The zero value matches nothing.
type ErrorMatcher struct {
	match func(error) bool
	store bool // it is StoreAway
}

// Match reports whether err is one of those meant.
func (m ErrorMatcher) Match(err error) bool { return m.match != nil && m.match(err) }

// matchIn is Match in a mux that knows more stores.
func (m ErrorMatcher) matchIn(isAway func(error) bool, err error) bool {
	return m.Match(err) || m.store && isAway(err)
}

// ErrorIs matches what errors.Is finds to be target.
func ErrorIs(target error) ErrorMatcher {
	return ErrorMatcher{match: func(err error) bool { return errors.Is(err, target) }}
}

// ErrorAs matches what errors.As finds to be an E.
func ErrorAs[E error]() ErrorMatcher {
	return ErrorMatcher{match: func(err error) bool {
		var as E
		return errors.As(err, &as)
	}}
}

// StoreAway matches errors that say that a store, the database or a Redis, does not answer, which is no verdict on what it
// was asked: what away.Is finds, and MuxOptions.StoreAway of the mux that runs the task.
func StoreAway() ErrorMatcher { return ErrorMatcher{match: away.Is, store: true} }

// retryRules is what a definition says about retries that cannot travel with a task. They never change once made.
type retryRules struct {
	only    []ErrorMatcher // none: all errors
	never   []ErrorMatcher
	snooze  []ErrorMatcher
	backoff func(retry int, err error) time.Duration // nil: the task's backoff
	latest  string                                   // the option that was given last
}

// retries reports whether a failed attempt may be repeated. It may be asked of nil.
func (r *retryRules) retries(isAway func(error) bool, err error) bool {
	if r == nil {
		return true
	}
	return !matches(r.never, isAway, err) && (len(r.only) == 0 || matches(r.only, isAway, err))
}

// snoozes reports whether an attempt that failed with err costs nothing. It may be asked of nil.
func (r *retryRules) snoozes(isAway func(error) bool, err error) bool {
	return r != nil && matches(r.snooze, isAway, err)
}

func matches(matchers []ErrorMatcher, isAway func(error) bool, err error) bool {
	for _, m := range matchers {
		if m.matchIn(isAway, err) {
			return true
		}
	}
	return false
}

// RetryOnlyFor fails the task at once after any error that no matcher matches. It belongs to a definition, and holds
// where the task runs.
func RetryOnlyFor(matchers ...ErrorMatcher) Option {
	return retryRule("retry_only_for", func(r *retryRules) { r.only = matchers })
}

// NeverRetryFor fails the task at once after an error that a matcher matches; it wins over RetryOnlyFor. It belongs to a
// definition, and holds where the task runs.
func NeverRetryFor(matchers ...ErrorMatcher) Option {
	return retryRule("never_retry_for", func(r *retryRules) { r.never = matchers })
}

// SnoozeFor snoozes the task after an error that a matcher matches: the attempt costs no retry, and the next one follows
// for as long as it takes, after half a second at first and 10 s at most, the longer no attempt of this definition has
// gone better here. SnoozeFor(StoreAway()) is for a task that must not fail because its database is away. It wins over
// the other rules and loses to Permanent, RetryIn and Snooze. Only the task's end by other means ends the waiting:
// ExpiresIn, or a revocation. It belongs to a definition, and holds where the task runs.
func SnoozeFor(matchers ...ErrorMatcher) Option {
	return retryRule("snooze_for", func(r *retryRules) { r.snooze = matchers })
}

// BackoffFunc is asked how long to wait before retry number retry (from 0) after err, in place of Backoff and Jitter.
// What it answers is kept between 0 and 7 days. It belongs to a definition, and holds where the task runs; it may be
// called concurrently.
func BackoffFunc(f func(retry int, err error) time.Duration) Option {
	return retryRule("backoff_func", func(r *retryRules) { r.backoff = f })
}

func retryRule(name string, change func(*retryRules)) Option {
	return func(o *options) {
		o.change(func(e *extras) {
			var rules retryRules
			if e.retry != nil {
				rules = *e.retry
			}
			change(&rules)
			rules.latest = name
			e.retry = &rules
		})
	}
}

// applyCall applies the options of one call.
func (o *options) applyCall(opts []Option) {
	before, encrypted := o.extra().retry, o.encrypted
	for _, opt := range opts {
		opt(o)
	}
	if rules := o.extra().retry; rules != before {
		o.refuse(rules.latest, "belongs to a definition, not to a call")
	}
	if o.encrypted != encrypted {
		o.encrypted = encrypted
		o.refuse("encrypted", "belongs to a definition, not to a call")
	}
}
