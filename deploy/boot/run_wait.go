package boot

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"
)

const (
	maxPause = 8 * time.Second  // between two tries
	tryLimit = 10 * time.Second // for one try
)

// Fatal marks an error that no waiting mends, such as a wrong password: WaitFor gives up on it at once. Fatal(nil)
// is nil.
func Fatal(err error) error {
	if err == nil {
		return nil
	}
	return &fatalError{err}
}

type fatalError struct{ err error }

func (e *fatalError) Error() string { return e.err.Error() }
func (e *fatalError) Unwrap() error { return e.err }

// WaitFor calls try until it succeeds, with pauses of 1, 2, 4, 8, 8... seconds, for as long as limit; 0 means one
// try. The context of a try ends after ten seconds. Each failure is logged under the name of what is waited for.
//
// It returns the cause when ctx ends, an error marked Fatal as soon as there is one, and otherwise, when the time is
// up, the last error.
func WaitFor(ctx context.Context, logger *slog.Logger, name string, limit time.Duration, try func(context.Context) error) error {
	start := time.Now()
	pause := time.Second
	for attempt := 1; ; attempt++ {
		err := tryOnce(ctx, try)
		if err == nil {
			if attempt > 1 {
				logger.Info("reached", "name", name, "waited", time.Since(start))
			}
			return nil
		}
		if ctx.Err() != nil {
			return fmt.Errorf("waiting for %s: %w", name, context.Cause(ctx))
		}
		var fatal *fatalError
		if errors.As(err, &fatal) {
			return fmt.Errorf("%s: %w", name, err)
		}
		left := limit - time.Since(start)
		if left <= 0 {
			return fmt.Errorf("%s: gave up after %s: %w", name, time.Since(start).Round(time.Millisecond), err)
		}
		wait := min(pause, left)
		logger.Warn("waiting", "name", name, "error", err, "attempt", attempt, "next", wait, "left", left)
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for %s: %w", name, context.Cause(ctx))
		case <-time.After(wait):
		}
		pause = min(2*pause, maxPause)
	}
}

func tryOnce(ctx context.Context, try func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, tryLimit)
	defer cancel()
	return try(ctx)
}
