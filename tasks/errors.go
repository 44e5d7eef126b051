package tasks

import (
	"errors"
	"fmt"

	"github.com/hibiken/asynq"
)

var (
	// ErrNotFound says that no task has the id: it never existed, or its retention has passed.
	ErrNotFound = errors.New("task not found")
	// ErrNotReady says that the task has not finished.
	ErrNotReady = errors.New("task has not finished")
	// ErrRevoked says that the task ended without running, because it expired or was revoked.
	ErrRevoked = errors.New("task revoked")
	// ErrBroker says that the broker did not do what it was asked: it is away, full, or changing its primary. The same
	// call may succeed soon. It wraps what asynq reports, which for scripts is nothing but a text.
	ErrBroker = errors.New("the broker does not answer as it should")
	// ErrDuplicate says that nothing was enqueued, because a task with this id, or a unique task with these
	// arguments, is there already. It comes together with that task's handle.
	ErrDuplicate = errors.New("task is there already")
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

// IsPermanent reports whether err, or an error that it wraps, was marked by Permanent.
func IsPermanent(err error) bool {
	var p *permanentError
	return errors.As(err, &p)
}
