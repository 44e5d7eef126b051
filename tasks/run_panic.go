package tasks

import (
	"context"
	"fmt"
	"runtime/debug"
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
