package outbox

import (
	"context"
	"math/rand/v2"
	"time"

	"gorm.io/gorm"

	"github.com/paidui/paidui/tasks"
)

// waiting are the rows to send.
const waiting = "sent_at IS NULL AND failed_at IS NULL"

// relay sends rows as they come: at once when this process has committed some, else at its next look.
func (o *Outbox) relay(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	failures := 0
	for {
		wake := o.wake
		if failures > 0 {
			wake = nil
		}
		certain := false
		select {
		case <-ctx.Done():
			return
		case <-wake:
			certain = true
		case <-timer.C:
		}
		err := o.sendAll(ctx, certain, failures > 0)
		if err != nil {
			failures++
			o.logger.WarnContext(ctx, "the outbox can't send now", "error", err, "failures", failures)
			timer.Reset(o.pace.afterFailure(failures))
			continue
		}
		if failures > 0 {
			o.logger.InfoContext(ctx, "the outbox sends again", "failures", failures)
			failures = 0
		}
		timer.Reset(jittered(o.pace.look))
	}
}

// afterFailure is exponential, half of it at random.
func (p pace) afterFailure(failures int) time.Duration {
	bound := p.longest
	if n := failures - 1; n < 16 {
		bound = min(bound, p.firstWait<<n)
	}
	return bound/2 + rand.N(bound/2+1)
}

// jittered is d, a quarter more or less, so that processes do not look all at once.
func jittered(d time.Duration) time.Duration { return d*3/4 + rand.N(d/2+1) }

// sendAll sends batches while there are any, and stops between two when ctx ends. No transaction is begun before there
// is something to send, unless that is certain, and after a failure not before Redis answers again.
func (o *Outbox) sendAll(ctx context.Context, certain, failed bool) error {
	if !certain {
		within, cancel := o.within(ctx)
		defer cancel()
		any, err := o.anyWaiting(within)
		if err != nil || !any {
			return err
		}
	}
	if failed {
		within, cancel := o.within(ctx)
		defer cancel()
		if err := o.client.Ping(within); err != nil {
			return err
		}
	}
	for ctx.Err() == nil {
		more, err := o.sendSome(ctx)
		if err != nil || !more {
			return err
		}
	}
	return nil
}

// within is a context for a batch, which ends in its own time.
func (o *Outbox) within(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), o.pace.limit)
}

// anyWaiting reports whether there are rows to send, including those that another relay is sending.
func (o *Outbox) anyWaiting(ctx context.Context) (bool, error) {
	var found []int64
	err := o.table(ctx).Where(waiting).Limit(1).Pluck("id", &found).Error
	return len(found) > 0, err
}

// sendSome sends one batch, and reports whether there may be more.
func (o *Outbox) sendSome(ctx context.Context) (more bool, err error) {
	ctx, cancel := o.within(ctx)
	defer cancel()
	return o.send(ctx, func(tx *gorm.DB) *gorm.DB { return tx.Where(waiting).Order("id") })
}

// sendNow sends tasks that have been committed, one after the other, and deletes the rows of those that have ended.
func (o *Outbox) sendNow(messages []*tasks.OutboxMessage) {
	ctx := context.Background() // a commit has none; and it waits for as long as the client has it wait
	for _, p := range messages {
		_, err := o.send(ctx, func(tx *gorm.DB) *gorm.DB { return tx.Where(waiting).Where("task_id = ?", p.ID()) })
		if err != nil {
			o.logger.Warn("the outbox can't send a task at once", "task_id", p.ID(), "task", p.Task(), "error", err)
		}
	}
	if err := o.clean(ctx); err != nil {
		o.logger.Warn("rows of tasks that have ended stay in the outbox", "error", err)
	}
}

// send sends those of a query's rows that fit a batch, and reports whether there may be more.
func (o *Outbox) send(ctx context.Context, which func(tx *gorm.DB) *gorm.DB) (more bool, err error) {
	var v batchResult
	err = o.locked(ctx, func(tx *gorm.DB) error {
		rows, full, err := o.lockBatch(which(tx))
		if err != nil || len(rows) == 0 {
			return err
		}
		more = full
		o.atStep(stepTaken)
		v.send(ctx, o.client.Send, rows)
		o.atStep(stepSent)
		if err := o.settle(tx, v); err != nil {
			return err
		}
		o.atStep(stepSettled)
		return nil
	})
	if err != nil {
		return false, err
	}
	o.logResult(ctx, v)
	return more, v.err
}

// step is a place where a process may die.
type step int

const (
	stepTaken   step = iota // rows are locked
	stepSent                // Redis has the tasks
	stepSettled             // the rows say so, uncommitted
)

// atStep lets tests do something at a step.
func (o *Outbox) atStep(s step) {
	if o.step != nil {
		o.step(s)
	}
}
