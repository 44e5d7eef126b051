package tasks

import (
	"errors"
	"fmt"
	"time"
)

// RetryIn is an error with which a handler fails its attempt and says when the next one is to be: no earlier than d from
// now, up to about a second later, whatever the definition's backoff and retry rules say. It costs a retry; without any
// left the task fails. causes are why, and what the task's error says. A d below 0 is 0, one above MaxDelay is MaxDelay.
func RetryIn(d time.Duration, causes ...error) error {
	cause := errors.Join(causes...)
	if len(causes) == 1 {
		cause = causes[0]
	}
	return &delayError{delay: boundedDelay(d), cause: cause}
}

// Snooze is what a handler returns to be run again no earlier than d from now, up to about a second later, as if this
// attempt had not been: it costs no retry and is no error to log or metrics. A d below 0 is 0, one above MaxDelay is
// MaxDelay. Nothing but ExpiresIn bounds how often a task may snooze.
func Snooze(d time.Duration) error {
	return &delayError{delay: boundedDelay(d), free: true}
}

func boundedDelay(d time.Duration) time.Duration { return min(max(d, 0), MaxDelay) }

// delayError is what RetryIn and Snooze make.
type delayError struct {
	delay time.Duration
	free  bool  // costs no retry
	cause error // nil without one
}

func (e *delayError) Error() string {
	switch {
	case e.cause != nil:
		return e.cause.Error()
	case e.free:
		return fmt.Sprintf("snoozed for %v", e.delay)
	}
	return fmt.Sprintf("asked to be retried in %v", e.delay)
}

func (e *delayError) Unwrap() error { return e.cause }

// delay is the time until the next attempt, after an attempt that returned err.
func (a *attempt) delay(err error) time.Duration {
	var asked *delayError
	if errors.As(err, &asked) {
		return asked.delay
	}
	if a.snoozes(err) {
		return a.binding.outage.pause(time.Now())
	}
	retry := a.Attempt - 1
	if a.binding != nil && a.binding.retry != nil && a.binding.retry.backoff != nil {
		if d, ok := a.askBackoff(retry, err); ok {
			return d
		}
	}
	return a.headers.backoff.delay(retry)
}

// askBackoff asks the definition's own backoff, which may panic.
func (a *attempt) askBackoff(retry int, err error) (d time.Duration, ok bool) {
	defer func() {
		if value := recover(); value != nil {
			a.Logger().Error("the definition's backoff function panics: the task's own backoff holds", a.errorAttr(&PanicError{Value: value}))
		}
	}()
	return min(max(a.binding.retry.backoff(retry, err), 0), MaxTimeout), true
}

// repetition is what asynq gets for an attempt that is to be repeated. Engine reads it: asynq asks for the delay, and whether the
// attempt counts, with nothing but the error at hand.
type repetition struct {
	cause     error
	encrypted string // its text, where that is encrypted
	delay     time.Duration
	counts    bool // costs a retry
}

// Error is what asynq stores as the task's last error.
func (e *repetition) Error() string {
	if e.encrypted != "" {
		return e.encrypted
	}
	if !e.counts {
		return snoozeText(e.cause)
	}
	return storableText(e.cause)
}

func (e *repetition) Unwrap() error { return e.cause }
