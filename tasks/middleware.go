package tasks

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"strings"
	"time"
)

// PanicError is a panic of a handler, turned into the attempt's error. The stack goes to the log only.
type PanicError struct {
	Value any
	Stack []byte
}

func (e *PanicError) Error() string { return fmt.Sprintf("panic: %v", e.Value) }

func recovered(next Handler) Handler {
	return func(ctx context.Context, t *Task, args []byte) (result []byte, err error) {
		defer func() {
			if value := recover(); value != nil {
				err = &PanicError{Value: value, Stack: debug.Stack()}
			}
		}()
		return next(ctx, t, args)
	}
}

// outcome is what one attempt came to.
type outcome string

const (
	succeeded   outcome = "success"
	retrying    outcome = "retry"       // failed, and will be tried again
	failed      outcome = "failure"     // failed for good
	interrupted outcome = "interrupted" // the worker ends or has lost the task; it will run again
)

// outcome judges the error of an attempt. The context is the one of the attempt or of its delivery.
func (t *Task) outcome(ctx context.Context, err error) outcome {
	switch {
	case err == nil:
		return succeeded
	case errors.Is(ctx.Err(), context.Canceled):
		return interrupted
	case IsPermanent(err) || t.Attempt > t.MaxRetries:
		return failed
	}
	return retrying
}

func logAttempt(ctx context.Context, t *Task, took time.Duration, err error) {
	if err == nil && !t.parent.Enabled(ctx, slog.LevelInfo) {
		return
	}
	ms := slog.Float64("ms", float64(took.Microseconds())/1000)
	if err == nil {
		t.Logger().InfoContext(ctx, "task succeeded", "state", StateSuccess, ms)
		return
	}
	attrs := []any{ms, errorAttr(err)}
	var panicked *PanicError
	if errors.As(err, &panicked) {
		attrs = append(attrs, slog.String("stack", string(panicked.Stack)))
	}
	switch t.outcome(ctx, err) {
	case failed:
		t.Logger().ErrorContext(ctx, "task failed", append(attrs, "state", StateFailure)...)
	case interrupted:
		t.Logger().WarnContext(ctx, "task interrupted", attrs...)
	default:
		t.Logger().WarnContext(ctx, "task will be retried", append(attrs, "state", StateRetry)...)
	}
}

// errorAttr logs an error. A part of its chain that has a log form of its own stands there in that form, so that an
// error may say to its user what the log must not hold.
func errorAttr(err error) slog.Attr {
	var private interface {
		error
		slog.LogValuer
	}
	if !errors.As(err, &private) {
		return slog.Any("error", err)
	}
	return slog.String("error", strings.ReplaceAll(err.Error(), private.Error(), private.LogValue().String()))
}
