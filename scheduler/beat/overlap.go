package beat

import (
	"context"
	"errors"
	"time"

	"github.com/paidui/paidui/tasks"
	"github.com/paidui/paidui/tasks/schedule"
	"github.com/paidui/paidui/tasks/ticks"
)

// An entry whose ticks must not overlap claims a tick on the strength of what it has read: that the tasks of the last tick, and of
// the last run by hand, have ended. The claim is refused when these are not the last tasks any more, and so no scheduler acts
// on what was true a moment ago.

// beginAfterLast claims a tick if the last tasks have ended, and else leaves it out or has it wait.
func (r *runner) beginAfterLast(ctx context.Context, tick time.Time) (ticks.ClaimAnswer, ticks.Claim, error) {
	last, err := r.store.LastOf(ctx, r.entry.Name)
	if err != nil {
		return "", ticks.Claim{}, err
	}
	busy, err := r.busy(ctx, last)
	switch {
	case err != nil:
		return "", ticks.Claim{}, err
	case r.entry.Overlap == schedule.OverlapQueue && (busy || len(last.Waits) > 0):
		return r.pass(ctx, tick, ticks.Passed{Why: ticks.LogOverlap, Room: r.entry.OverlapLimit})
	case busy:
		answer, claim, err := r.pass(ctx, tick, ticks.Passed{Why: ticks.LogOverlap})
		if answer == ticks.Settled {
			r.metrics.count(r.entry.Name, tickOverlap, 1)
		}
		return answer, claim, err
	}
	return r.begin(ctx, tick, &last)
}

// busy reports whether one of the last tasks has not ended. What Redis has forgotten has, unless the outbox keeps it.
func (r *runner) busy(ctx context.Context, last ticks.Last) (bool, error) {
	for _, id := range []string{last.Task, last.Manual} {
		if id == "" {
			continue
		}
		info, err := r.client.Info(ctx, id)
		switch {
		case err == nil && !info.State.Final():
			return true, nil
		case err == nil:
		case !errors.Is(err, tasks.ErrNotFound):
			return false, err
		case r.entry.Options.Durable:
			if kept, err := r.ledger.Unsent(ctx, id); kept || err != nil {
				return kept, err
			}
		}
	}
	return false, nil
}

// releaseEvery is how often a scheduler looks whether a tick that waits may go.
const releaseEvery = 500 * time.Millisecond

// release enqueues the ticks that wait, one after the other, until ctx ends, which gives nil, or the schedule is no longer in
// force, which gives errSuperseded.
func (r *runner) release(ctx context.Context) error {
	part := r.entry.Name + " (waiting)"
	defer r.outage.forget(part)
	for r.clock.Sleep(ctx, releaseEvery) == nil {
		err := r.releaseOne(ctx)
		switch {
		case errors.Is(err, errSuperseded):
			return err
		case err == nil, errors.Is(err, errExhausted), errors.Is(err, errEarly):
			r.outage.answered(part)
		case ctx.Err() == nil:
			r.outage.failed(part, err)
		}
	}
	return nil
}

func (r *runner) releaseOne(ctx context.Context) error {
	asking, cancel := context.WithTimeout(ctx, tickTimeout)
	defer cancel()
	last, err := r.store.LastOf(asking, r.entry.Name)
	if err != nil || len(last.Waits) == 0 {
		return err
	}
	if busy, err := r.busy(asking, last); busy || err != nil {
		return err
	}
	return r.repeatUntilFinal(ctx, func(ctx context.Context) (ticks.ClaimAnswer, ticks.Claim, error) {
		answer, claim, err := r.begin(ctx, last.Waits[0], &last)
		if answer == ticks.Changed {
			answer = ticks.Settled // here: the next look has what is new
		}
		return answer, claim, err
	})
}
