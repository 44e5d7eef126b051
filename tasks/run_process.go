package tasks

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/hibiken/asynq"
)

// ProcessTask runs one delivery of a task, as asynq asks. It returns when the task has ended, is to be repeated, or when
// its handler has lost its slot: such a handler may go on in the background.
func (m *Mux) ProcessTask(ctx context.Context, t *asynq.Task) error {
	a := m.newAttempt(ctx, t)
	if err := a.notBefore(ctx); err != nil {
		return err
	}
	v, refused := a.refuse(ctx)
	if !refused {
		v = a.run(ctx)
	}
	return a.end(ctx, t, v)
}

// expiredAt begins the reason for which a task that has expired is REVOKED.
const expiredAt = "expired at "

// refuse reports whether the attempt ends without its handler.
func (a *attempt) refuse(ctx context.Context) (verdict, bool) {
	h := &a.headers
	if reason, ok := a.isRevoked(); ok {
		return verdict{outcome: revoked, reason: reason, refusal: refusedRevoked}, true
	}
	if !h.expires.IsZero() && !a.mux.now().Before(h.expires) {
		reason := expiredAt + h.expires.UTC().Format(time.RFC3339)
		return verdict{outcome: revoked, reason: reason, refusal: refusedExpired}, true
	}
	var why refusal
	var err error
	switch {
	case a.binding == nil:
		why = refusedUnknown
		err = fmt.Errorf("this worker has no handler for task %q", a.Name)
	case a.decryptError() != nil:
		return a.refuseUnreadable(ctx), true
	case a.delivery != nil && a.delivery.Crashes() >= h.maxCrashes:
		why = refusedPoison
		err = Permanent(&CrashError{Crashes: a.delivery.Crashes()})
	case a.Attempt > a.MaxRetries+1:
		why = refusedExhausted
		err = Permanent(errors.New("retries exhausted: the last attempt ignored its time limit"))
	case a.mux.client == nil && h.callsBack():
		why = refusedCallbacks
		err = Permanent(errors.New("the task has callbacks, and this worker nothing to enqueue them with: set MuxOptions.Client"))
	default:
		return verdict{}, false
	}
	v := a.judge(ctx, nil, err)
	v.refusal = why
	return v, true
}

// end reports how the attempt ended: to the failure hook, the log, the callbacks, the history and the metrics, and to asynq
// last. When one of these fails, the attempt counts as interrupted, and the task runs again.
func (a *attempt) end(ctx context.Context, t *asynq.Task, v verdict) error {
	if err := a.owned(ctx); err != nil {
		v = verdict{outcome: interrupted, err: err}
	}
	if v.outcome == failed && a.binding != nil && a.binding.failureHook != nil {
		v = a.callHook(ctx, v)
	}
	a.log(ctx, v)
	a.noteOutage(ctx, v)
	a.encrypt(&v)
	if err := a.callBack(ctx, v); err != nil {
		v = verdict{outcome: interrupted, err: err}
		a.log(ctx, v)
		a.encrypt(&v)
	}
	if !a.attachLog(v) && v.outcome != interrupted {
		v = verdict{outcome: interrupted, err: ErrFenced}
		a.log(ctx, v)
	}
	a.writeHistory(v)
	a.mux.count(a, v)
	if a.headers.outbox && a.mux.client != nil && (v.outcome == succeeded || v.outcome == failed || v.outcome == revoked) {
		a.mux.client.endOutbox(a.ID)
	}
	switch v.outcome {
	case succeeded:
		return a.keep(t, v.storedResult())
	case revoked:
		return a.keep(t, append(slices.Clone(revokedPrefix), v.reason...))
	case failed:
		return &ending{cause: v.err, encrypted: v.encryptedText()}
	}
	return &repetition{cause: v.err, encrypted: v.encryptedText(), delay: v.delay, counts: v.outcome == retrying}
}

// ackReserve is how long before asynq gives an attempt up, which would cost a retry, the mux stops waiting for a broker that
// is away: half of what asynq waits beyond the task's hard limit.
const ackReserve = backstop / 2

// withAckReserve is parent, ended ackReserve before the deadline of ctx, which is the delivery's context.
func withAckReserve(ctx, parent context.Context) (context.Context, context.CancelFunc) {
	if deadline, ok := ctx.Deadline(); ok {
		return context.WithDeadline(parent, deadline.Add(-ackReserve))
	}
	return context.WithCancel(parent)
}

// owned returns an error when another worker has the task.
func (a *attempt) owned(ctx context.Context) error {
	if a.delivery == nil {
		return nil
	}
	asking, cancel := withAckReserve(ctx, context.WithoutCancel(ctx)) // which may have ended with the lease
	defer cancel()
	return a.delivery.Owned(asking)
}

// callHook calls the failure hook, which may panic, or put the failure off.
func (a *attempt) callHook(ctx context.Context, failure verdict) verdict {
	hook := recovered(func(ctx context.Context, _ *Task, args []byte) ([]byte, error) {
		return nil, a.binding.failureHook(ctx, args, failure.err)
	})
	_, err := hook(context.WithValue(ctx, taskKey{}, &a.Task), &a.Task, a.args)
	var asked *delayError
	switch {
	case err == nil:
		return failure
	case errors.As(err, &asked) && asked.free, a.snoozes(err):
		return verdict{outcome: snoozed, err: err, delay: a.delay(err), refusal: failure.refusal}
	}
	a.Logger().ErrorContext(ctx, "failure hook failed", a.errorAttrs(err)...)
	return failure
}

// keep gives the result to the acknowledgement, which stores it.
func (a *attempt) keep(t *asynq.Task, result []byte) error {
	if a.headers.noResult {
		return nil
	}
	if a.delivery != nil {
		a.delivery.Keep(result)
		return nil
	}
	_, err := t.ResultWriter().Write(result)
	return err
}

// maxSkew is the difference between two machines' clocks that notBefore makes good.
const maxSkew = 5 * time.Second

// notBefore guards the eta against a forwarding worker whose clock is ahead of this one's. A task that comes much
// earlier was pulled forward by hand, and runs.
func (a *attempt) notBefore(ctx context.Context) error {
	eta := a.headers.eta
	if eta.IsZero() {
		return nil
	}
	early := eta.Sub(a.mux.now())
	switch {
	case early <= 0:
		return nil
	case early > maxSkew:
		a.Logger().WarnContext(ctx, "task runs before its eta: it was pulled forward, or a clock is wrong", "eta", eta)
		return nil
	}
	timer := time.NewTimer(early)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
