package tasks

import (
	"errors"
	"fmt"
	"time"

	"github.com/hibiken/asynq"

	"github.com/paidui/paidui/models/away"
	"github.com/paidui/paidui/tasks/broker/fetch"
)

var (
	// ErrNotFound says that no task has the id: it never existed, or its retention has passed.
	ErrNotFound = errors.New("task not found")
	// ErrNotReady says that the task has not finished.
	ErrNotReady = errors.New("task has not finished")
	// ErrRevoked says that the task ended because it expired or was revoked. It is also the cause for which the context of
	// a running handler ends when its task is revoked and terminated.
	ErrRevoked = errors.New("task revoked")
	// ErrBroker says that the broker did not do what it was asked: it is away, full, or changing its primary. The same
	// call may succeed soon. It wraps what asynq reports, which for scripts is nothing but a text.
	ErrBroker error = &away.Error{Err: errors.New("the broker does not answer as it should")}
	// ErrQueueFull says that nothing was enqueued, because so many tasks of the queue are pending as ClientOptions.MaxLength
	// allows. The same call may succeed when workers have taken some: to StoreAway it is a store that is away.
	ErrQueueFull error = &away.Error{Err: errors.New("the queue is full: try again later")}
	// ErrDuplicate says that nothing was enqueued, because a task with this id, or a unique task with these
	// arguments, is there already. It comes together with that task's handle.
	ErrDuplicate = errors.New("task is there already")
	// ErrWithheld says that a task has a result that can't be decrypted here: see Info.Withheld.
	ErrWithheld = errors.New("the result is withheld")
	// ErrNoTask says that a context is not that of a task's handler.
	ErrNoTask = errors.New("the context is not that of a running task")
	// ErrFenced says that an attempt may not write any more: it has returned or lost its slot, or another worker has the
	// task.
	ErrFenced = fetch.ErrFenced
)

// FailureError is the outcome of a task that failed for good.
type FailureError struct {
	ID  string // the task's
	Msg string // the last attempt's error
}

func (e *FailureError) Error() string { return fmt.Sprintf("task %s failed: %s", e.ID, e.Msg) }

// OptionError says which option is out of its range. Field is the option's JSON name.
type OptionError struct {
	Field string
	Msg   string
}

func (e *OptionError) Error() string { return fmt.Sprintf("option %s: %s", e.Field, e.Msg) }

func optionErrorf(field, format string, args ...any) *OptionError {
	return &OptionError{Field: field, Msg: fmt.Sprintf(format, args...)}
}

// ArgsError says why arguments do not fit their definition. Field is the JSON path of the culprit, "" when it is the
// whole.
type ArgsError struct {
	Field string
	Msg   string
}

func (e *ArgsError) Error() string {
	if e.Field == "" {
		return "arguments: " + e.Msg
	}
	return fmt.Sprintf("arguments: %s: %s", e.Field, e.Msg)
}

// TimeLimitError is the failure of a task whose handler did not return within the hard time limit.
type TimeLimitError struct{ Limit time.Duration }

func (e *TimeLimitError) Error() string {
	return fmt.Sprintf("exceeded its hard time limit of %v: the handler ignores the end of its context", e.Limit)
}

// CrashError is the failure of a task that is not run any more, because its worker died each time.
type CrashError struct{ Crashes int }

func (e *CrashError) Error() string {
	return fmt.Sprintf("its worker died %d times while running it", e.Crashes)
}

// ResultTooLargeError is the failure of a task whose result has more bytes of JSON than its ResultLimit.
type ResultTooLargeError struct{ Size, Limit int }

func (e *ResultTooLargeError) Error() string {
	return fmt.Sprintf("the result has %d bytes, more than the %d allowed: store it and return a reference", e.Size, e.Limit)
}

// Permanent marks an error that no retry can mend: the task fails at once. A nil error stays nil.
func Permanent(err error) error {
	if err == nil {
		return nil
	}
	return &permanentError{err}
}

type permanentError struct{ error }

func (e *permanentError) Unwrap() error        { return e.error }
func (e *permanentError) Is(target error) bool { return target == asynq.SkipRetry }

// IsPermanent reports whether err, or an error that it wraps, was marked by Permanent, or is asynq.SkipRetry.
func IsPermanent(err error) bool { return errors.Is(err, asynq.SkipRetry) }

// ending is what asynq gets for a task that has failed for good.
type ending struct {
	cause     error
	encrypted string // its text, where that is encrypted
}

func (e *ending) Error() string {
	if e.encrypted != "" {
		return e.encrypted
	}
	return storableText(e.cause)
}
func (e *ending) Unwrap() error        { return e.cause }
func (e *ending) Is(target error) bool { return target == asynq.SkipRetry }
