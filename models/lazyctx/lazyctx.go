// Package lazyctx ends contexts without a timer for those that nobody waits for.
package lazyctx

import (
	"context"
	"sync"
	"time"
)

// End ends a context: with its parent, at a deadline, or by a call. The timer, and a place among the children of the parent,
// are made when something waits for the end, which quick work never does.
//
// It is a field of a context, whose methods pass the parent on; a method that may make the context that ends needs the parent
// with all values that those who wait may ask for. The zero value has no deadline. It is safe for concurrent use, after
// SetDeadline.
type End struct {
	deadline time.Time // zero: none

	mu     sync.Mutex
	timed  context.Context // nil until something waits
	stop   context.CancelFunc
	cancel context.CancelCauseFunc
	closed error // what Err says after Close, when nothing had waited before
}

// SetDeadline must come before all else.
func (e *End) SetDeadline(at time.Time) { e.deadline = at }

// Deadline is the earlier one of the parent's and its own.
func (e *End) Deadline(parent context.Context) (time.Time, bool) {
	earlier, ok := parent.Deadline()
	if ok && (e.deadline.IsZero() || earlier.Before(e.deadline)) {
		return earlier, true
	}
	return e.deadline, !e.deadline.IsZero()
}

// Done starts the timer.
func (e *End) Done(parent context.Context) <-chan struct{} {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.start(parent).Done()
}

// Err agrees with Done.
func (e *End) Err(parent context.Context) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case e.timed != nil:
		return e.timed.Err()
	case e.closed != nil:
		return e.closed
	}
	return e.err(parent)
}

// Cancel ends the context with a cause, unless it was closed.
func (e *End) Cancel(parent context.Context, cause error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed == nil {
		e.start(parent)
		e.cancel(cause)
	}
}

// Close ends the context, if it has not ended, and releases what it holds.
func (e *End) Close(parent context.Context) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed != nil {
		return
	}
	if e.closed = e.err(parent); e.closed == nil {
		e.closed = context.Canceled
	}
	if e.timed != nil {
		e.release()
	}
}

// Timed is the context that really ends, nil before something has waited. What package context looks for in a parent is
// there.
func (e *End) Timed() context.Context {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.timed
}

// start makes the context that really ends; mu is held.
func (e *End) start(parent context.Context) context.Context {
	if e.timed == nil {
		revocable, cancel := context.WithCancelCause(parent)
		e.timed, e.stop, e.cancel = revocable, func() {}, cancel
		if !e.deadline.IsZero() {
			e.timed, e.stop = context.WithDeadline(revocable, e.deadline)
		}
		if e.closed != nil {
			e.release()
		}
	}
	return e.timed
}

func (e *End) release() {
	e.stop()
	e.cancel(nil)
}

// err is what a context with a timer would say.
func (e *End) err(parent context.Context) error {
	if err := parent.Err(); err != nil {
		return err
	}
	if !e.deadline.IsZero() && !time.Now().Before(e.deadline) {
		return context.DeadlineExceeded
	}
	return nil
}
