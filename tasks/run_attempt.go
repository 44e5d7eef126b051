package tasks

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

const (
	// watchAfter is how long an attempt runs before anything but its handler's return is watched for.
	watchAfter = 50 * time.Millisecond
	// historyStartAfter is how long an attempt runs before the history is told that it has begun.
	historyStartAfter = time.Second
	// handlerEndGrace is how long a handler may go on after its task was terminated, or after its delivery has ended.
	handlerEndGrace = 5 * time.Second
)

// waiter is what the mux waits with for a handler. It is used again when the handler has returned in time.
type waiter struct {
	done  chan struct{}
	timer *time.Timer
}

var waiters = sync.Pool{New: func() any {
	timer := time.NewTimer(time.Hour)
	timer.Stop()
	return &waiter{done: make(chan struct{}, 1), timer: timer}
}}

// run has the handler run in a goroutine of its own, and waits until it returns or loses its slot.
func (a *attempt) run(ctx context.Context) verdict {
	hard := a.headers.hardTimeout
	a.startedAt = time.Now()
	a.ctx.begin(ctx, &a.Task, a.startedAt, min(a.headers.timeout, hard))
	if a.delivery != nil {
		a.delivery.RunsUntil(a.startedAt.Add(min(a.headers.timeout, hard)))
	}
	w := waiters.Get().(*waiter)
	w.timer.Reset(min(watchAfter, hard))
	go a.handle(w.done)
	select {
	case <-w.done:
	case <-w.timer.C:
		if why := a.watch(ctx, w); why != nil {
			return a.judge(ctx, nil, why)
		}
	}
	w.timer.Stop()
	waiters.Put(w)
	a.progress.last(ctx, a)
	return a.judge(ctx, a.result, a.failure(ctx))
}

// handle is the handler's goroutine.
func (a *attempt) handle(done chan<- struct{}) {
	err := errHandlerExit
	defer func() {
		a.err, a.timedOut = err, err != nil && a.ctx.Err() != nil
		a.ctx.end()
		a.progress.close()
		if a.state.Swap(finished) == abandoned {
			a.returnedLate()
			return
		}
		done <- struct{}{}
	}()
	a.result, err = a.binding.run(&a.ctx, &a.Task, a.args)
}

// errHandlerExit is the error of a handler that ends its goroutine, as FailNow of a test does.
var errHandlerExit = errors.New("the handler called runtime.Goexit")

// failure is the error that the attempt of a handler which has returned ends in.
func (a *attempt) failure(ctx context.Context) error {
	over := ctx.Err()
	switch {
	case over != nil && a.err == nil:
		return fmt.Errorf("the result came too late: %w", over)
	case over == nil && a.timedOut:
		return fmt.Errorf("timed out after %v: %w", a.headers.timeout, a.err)
	}
	return a.err
}

// watch waits for a slow handler. It returns nil when the handler has returned, and otherwise why it has lost its slot.
func (a *attempt) watch(ctx context.Context, w *waiter) error {
	var (
		end        = a.startedAt.Add(a.headers.hardTimeout)
		why        = Permanent(&TimeLimitError{Limit: a.headers.hardTimeout})
		over       = ctx.Done()
		terminated <-chan struct{}
		started    time.Time // when the history is to be told; zero is never
	)
	giveUp := func(because error) {
		if soon := time.Now().Add(a.mux.grace); soon.Before(end) {
			end, why = soon, because
		}
	}
	if a.delivery != nil {
		terminated = a.delivery.Terminated()
	}
	if a.keepsHistory() {
		started = a.startedAt.Add(historyStartAfter)
	}
	for {
		next := end
		if !started.IsZero() && started.Before(end) {
			next = started
		}
		w.timer.Reset(time.Until(next))
		select {
		case <-w.done:
			return nil
		case <-terminated:
			terminated = nil
			cause := ErrRevoked
			if _, ok := a.delivery.Revoked(); !ok { // another worker has the task
				cause = ErrFenced
				if a.state.CompareAndSwap(running, fenced) {
					a.fence()
				}
			}
			a.ctx.cancel(cause)
			giveUp(cause)
		case <-over:
			over = nil
			if a.state.CompareAndSwap(running, fenced) {
				a.fence()
			}
			giveUp(ctx.Err())
		case <-w.timer.C:
			if next.Equal(end) {
				if a.abandon(ctx, why) {
					return why
				}
				<-w.done
				return nil
			}
			started = time.Time{}
			a.writeHistoryStart()
		}
	}
}

// abandon takes the slot away from the handler, unless it has returned.
func (a *attempt) abandon(ctx context.Context, why error) bool {
	if !a.state.CompareAndSwap(running, abandoned) && !a.state.CompareAndSwap(fenced, abandoned) {
		return false
	}
	a.fence()
	took := time.Since(a.startedAt)
	var limit *TimeLimitError
	a.measured.Load().abandon(a.Task.outcome(ctx, why), took, errors.As(why, &limit))
	a.Logger().ErrorContext(ctx, "the handler ignores the end of its context: its slot is taken away, and what it still writes is refused",
		"queue", a.Queue, "limit", a.headers.hardTimeout.String(), milliseconds(took), a.errorAttr(why))
	return true
}

// returnedLate says that a handler whose slot was taken away has returned.
func (a *attempt) returnedLate() {
	a.measured.Load().returned()
	attrs := []any{"queue", a.Queue, milliseconds(time.Since(a.startedAt))}
	if a.err != nil {
		attrs = append(attrs, a.errorAttrs(a.err)...)
	}
	a.Logger().Warn("a handler whose slot was taken away has returned", attrs...)
}

func milliseconds(d time.Duration) slog.Attr {
	return slog.Float64("ms", float64(d.Microseconds())/1000)
}
