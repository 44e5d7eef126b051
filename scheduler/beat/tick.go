package beat

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"time"

	"gorm.io/gorm"

	"github.com/paidui/paidui/tasks"
	"github.com/paidui/paidui/tasks/outbox"
	"github.com/paidui/paidui/tasks/schedule"
	"github.com/paidui/paidui/tasks/ticks"
)

const (
	// tickTimeout bounds one walk through a tick's steps, so also how long a scheduler that is told to stop goes on.
	tickTimeout = 10 * time.Second
	// claimWindow is how long after Begin a task may still be enqueued on the strength of it. It is well below any
	// retention.
	claimWindow = tickTimeout
)

// retention is how long the finished task of a tick keeps its id, in place of its definition's retention: about 600
// ticks of the entry, at least 10 minutes and at most 7 days; an entry may ask for more. While it does, the broker refuses the tick a second time.
func retention(spacing time.Duration) time.Duration {
	const ticksKept, least, most = 600, 10 * time.Minute, 7 * 24 * time.Hour
	if spacing >= most/ticksKept {
		return most
	}
	return max(least, ticksKept*spacing)
}

// spacing is the time between a tick and the next one, which is long where there is none.
func spacing(tick, next time.Time) time.Duration {
	if next.IsZero() {
		return schedule.MaxEvery
	}
	return next.Sub(tick)
}

// errStalled says that this process was stopped after Begin, for longer than claimWindow.
var errStalled = errors.New("the process was stopped while it enqueued a tick")

// tick enqueues one tick and settles it: see package ticks for the steps, and why this enqueues it once. It returns nil when the
// tick is settled, by whomever.
func (r *runner) tick(ctx context.Context, tick time.Time) error {
	return r.repeatUntilFinal(ctx, func(ctx context.Context) (ticks.ClaimAnswer, ticks.Claim, error) {
		if r.entry.Overlap != schedule.OverlapAllow {
			return r.beginAfterLast(ctx, tick)
		}
		return r.begin(ctx, tick, nil)
	})
}

func (r *runner) begin(ctx context.Context, tick time.Time, after *ticks.Last) (ticks.ClaimAnswer, ticks.Claim, error) {
	return r.store.BeginOn(ctx, r.schedule, r.entry.RuleID(), ticks.Claim{
		Entry: r.entry.Name, Tick: tick, Queue: r.entry.Queue, TaskID: taskID(r.secret, r.entry.Name, tick),
	}, ticks.Terms{MaxTicks: r.entry.MaxTicks, After: after})
}

// skip settles ticks that the misfire rule drops, without enqueueing them.
func (r *runner) skip(ctx context.Context, upTo time.Time, n int) error {
	return r.repeatUntilFinal(ctx, func(ctx context.Context) (ticks.ClaimAnswer, ticks.Claim, error) {
		return r.pass(ctx, upTo, ticks.Passed{Why: ticks.LogMisfire, Ticks: n})
	})
}

func (r *runner) pass(ctx context.Context, upTo time.Time, p ticks.Passed) (ticks.ClaimAnswer, ticks.Claim, error) {
	p.MaxTicks = r.entry.MaxTicks
	return r.store.PassOver(ctx, r.schedule, r.entry.RuleID(), r.entry.Name, upTo, r.entry.Rule.Next(upTo), p)
}

// repeatUntilFinal asks until the answer is final, and completes the claims that it is told of on the way. The end of ctx does
// not interrupt it: a tick that was begun is better finished here than by the next scheduler.
func (r *runner) repeatUntilFinal(ctx context.Context, ask func(context.Context) (ticks.ClaimAnswer, ticks.Claim, error)) error {
	for {
		final, err := r.attempt(context.WithoutCancel(ctx), ask)
		if final || (err != nil && !errors.Is(err, errStalled)) {
			return err
		}
	}
}

func (r *runner) attempt(ctx context.Context, ask func(context.Context) (ticks.ClaimAnswer, ticks.Claim, error)) (final bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, tickTimeout)
	defer cancel()
	if err := r.step("due"); err != nil {
		return false, err
	}
	asked := wallClock()
	answer, claim, err := ask(ctx)
	switch {
	case err != nil:
		return false, err
	case answer == ticks.Superseded:
		return true, errSuperseded
	case answer == ticks.Settled:
		return true, nil
	case answer == ticks.Exhausted:
		return true, errExhausted
	case answer == ticks.Changed:
		return false, nil
	case answer == ticks.Early:
		if err := r.clock.measure(ctx); err != nil {
			return false, err
		}
		return true, errEarly
	}
	if err := r.complete(ctx, claim, asked); err != nil {
		return false, err
	}
	return answer == ticks.Go, nil
}

// complete enqueues a claimed tick and settles it. asked is from before the claim was read.
func (r *runner) complete(ctx context.Context, claim ticks.Claim, asked time.Time) error {
	next := r.entry.Rule.Next(claim.Tick)
	kept := retention(spacing(claim.Tick, next))
	id := ""
	if r.entry.Options.Durable || claim.Age+2*claimWindow < kept {
		var err error
		if id, err = r.enqueue(ctx, claim, kept, asked); err != nil {
			return err
		}
	} else {
		r.metrics.count(r.entry.Name, tickFailed, 1)
		r.logger.Error("gave up a tick: every scheduler stopped while it was being enqueued, too long ago to repeat it",
			"schedule", r.entry.Name, "tick", claim.Tick, "task_id", claim.TaskID)
	}
	if err := r.step("enqueued"); err != nil {
		return err
	}
	_, err := r.store.Settle(ctx, r.entry.Name, claim.Tick, id, next)
	return err
}

// enqueue puts the task of a claim into its queue. It returns the id of the task that stands for the tick, "" when none
// can, or an error when it is worth another try.
func (r *runner) enqueue(ctx context.Context, claim ticks.Claim, kept time.Duration, asked time.Time) (string, error) {
	if err := r.step("begun"); err != nil {
		return "", err
	}
	if wallClock().Sub(asked) > claimWindow {
		return "", errStalled
	}
	options := slices.Concat(r.entry.Options.List, []tasks.Option{
		tasks.ID(claim.TaskID), tasks.Queue(claim.Queue), tasks.Retention(max(kept, r.entry.Options.Retention)),
	})
	id, err := r.enqueueTask(ctx, claim, options)
	var wrongOption *tasks.OptionError
	var wrongArgs *tasks.ArgsError
	log := r.logger.With("schedule", r.entry.Name, "task", r.entry.Task.Name(), "tick", claim.Tick, "task_id", claim.TaskID)
	switch {
	case err == nil:
		r.metrics.count(r.entry.Name, tickEnqueued, 1)
		r.metrics.late(r.entry.Name, r.clock.Now().Sub(claim.Tick))
		log.Debug("enqueued a tick")
		return id, nil
	case errors.Is(err, tasks.ErrDuplicate) && id == claim.TaskID:
		r.metrics.count(r.entry.Name, tickDuplicate, 1)
		return id, nil
	case errors.Is(err, tasks.ErrDuplicate):
		r.metrics.count(r.entry.Name, tickCoalesced, 1)
		log.Info("a unique or throttled task is there already and stands for the tick", "unique_task_id", id)
		return id, nil
	case errors.As(err, &wrongOption), errors.As(err, &wrongArgs):
		r.metrics.count(r.entry.Name, tickFailed, 1)
		log.Error("a tick cannot be enqueued", "error", err)
		return "", nil
	}
	return "", fmt.Errorf("schedule %s: %w", r.entry.Name, err)
}

// enqueueTask puts the task into its queue, or that of a durable entry into the outbox, where the database notes which ticks
// were put in, for when Redis loses its data.
func (r *runner) enqueueTask(ctx context.Context, claim ticks.Claim, options []tasks.Option) (id string, err error) {
	if !r.entry.Options.Durable {
		return r.entry.Task.EnqueueJSON(ctx, r.client, r.entry.Args, options...)
	}
	call, err := r.entry.Task.SignatureJSON(r.entry.Args, options...)
	if err != nil {
		return "", err
	}
	first, err := r.ledger.Note(ctx, r.entry.Name, r.entry.RuleID(), claim.Tick, r.store.Clock, func(tx *gorm.DB) error {
		if r.entry.MaxTicks > 0 {
			if err := r.ledger.Count(tx, r.entry.Name, r.entry.CountID()); err != nil {
				return err
			}
		}
		_, err := call.EnqueueTx(ctx, outbox.Tx(tx))
		return err
	})
	if err == nil && !first {
		err = tasks.ErrDuplicate
	}
	return claim.TaskID, err
}

// taskID is made of the entry and the tick. The secret keeps the ids of future and past ticks from being guessed, since
// whoever knows a task's id may ask for its result.
func taskID(secret []byte, entry string, tick time.Time) string {
	mac := hmac.New(sha256.New, secret)
	plain := fmt.Sprintf("%s@%d", entry, tick.Unix())
	mac.Write([]byte(plain))
	return plain + "-" + hex.EncodeToString(mac.Sum(nil)[:8])
}

// wallClock goes on while the process is stopped and while the host is suspended; a monotonic clock does not.
func wallClock() time.Time { return time.Now().Round(0) }
