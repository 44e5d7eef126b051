package outbox

import (
	"context"
	"maps"
	"math/rand/v2"
	"slices"
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
	var held heldBack
	for {
		wake := o.wake
		if failures > 0 {
			wake = nil
		}
		certain, from := false, int64(0)
		select {
		case <-ctx.Done():
			return
		case <-wake:
			certain, from = true, held.after
		case <-timer.C:
		}
		begun := time.Now()
		now, err := o.sendAll(ctx, from, certain, failures > 0)
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
		switch {
		case from > 0: // what was held back is for the next look
			held.after = max(held.after, now.after)
			continue
		case now.after > 0 && held.after == 0:
			o.logger.WarnContext(ctx, "tasks stay in the outbox while their queues are full", "queues", slices.Sorted(maps.Keys(now.queues)))
		case now.after == 0 && held.after > 0:
			o.logger.InfoContext(ctx, "no queue of the outbox is full any more")
		}
		held = now
		pause := jittered(o.pace.look)
		if held.after > 0 {
			pause = max(pause, heldRest*time.Since(begun))
		}
		timer.Reset(pause)
	}
}

// heldBack are the rows that a look has left, because their queues are full.
type heldBack struct {
	queues map[string]bool
	after  int64 // the id up to which rows were looked at; 0 when none is held back
}

// heldRest is how many times as long as a look with rows that are held back the pause after it is: it reads them all.
const heldRest = 4

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
// is something to send, unless that is certain, and after a failure not before Redis answers again. Rows whose queues are full
// do not keep those behind them; it begins behind the row from.
func (o *Outbox) sendAll(ctx context.Context, from int64, certain, failed bool) (held heldBack, err error) {
	if !certain {
		within, cancel := o.within(ctx)
		defer cancel()
		any, err := o.anyWaiting(within)
		if err != nil || !any {
			return held, err
		}
	}
	if failed {
		within, cancel := o.within(ctx)
		defer cancel()
		if err := o.client.Ping(within); err != nil {
			return held, err
		}
	}
	held.queues = make(map[string]bool)
	for ctx.Err() == nil {
		more, err := o.sendSome(ctx, from, &held)
		if err != nil || !more {
			return held, err
		}
	}
	return held, nil
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
func (o *Outbox) sendSome(ctx context.Context, from int64, held *heldBack) (more bool, err error) {
	ctx, cancel := o.within(ctx)
	defer cancel()
	return o.send(ctx, held, func(tx *gorm.DB) *gorm.DB {
		if behind := max(from, held.after); behind > 0 {
			tx = tx.Where("id > ?", behind)
		}
		return tx.Where(waiting).Order("id")
	})
}

// sendNow sends tasks that have been committed, one after the other, and deletes the rows of those that have ended.
func (o *Outbox) sendNow(messages []*tasks.OutboxMessage) {
	ctx := context.Background() // a commit has none; and it waits for as long as the client has it wait
	for _, p := range messages {
		held := heldBack{queues: make(map[string]bool)} // the relay goes on with it
		_, err := o.send(ctx, &held, func(tx *gorm.DB) *gorm.DB { return tx.Where(waiting).Where("task_id = ?", p.ID()) })
		if err != nil {
			o.logger.Warn("the outbox can't send a task at once", "task_id", p.ID(), "task", p.Task(), "error", err)
		}
	}
	if err := o.clean(ctx); err != nil {
		o.logger.Warn("rows of tasks that have ended stay in the outbox", "error", err)
	}
}

// send sends those of a query's rows that fit a batch, and reports whether there may be more. It adds to held the rows whose
// queues are full.
func (o *Outbox) send(ctx context.Context, held *heldBack, which func(tx *gorm.DB) *gorm.DB) (more bool, err error) {
	v := batchResult{full: held.queues}
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
		if v.held {
			held.after = rows[len(rows)-1].ID
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
