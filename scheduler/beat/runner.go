package beat

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/paidui/paidui/tasks"
	"github.com/paidui/paidui/tasks/schedule"
	"github.com/paidui/paidui/tasks/ticks"
)

// runner is the goroutine of one entry: it sleeps until the next tick and sees it through.
type runner struct {
	entry      schedule.Entry
	schedule   string // hash
	secret     []byte
	store      *ticks.Store
	ledger     *ticks.Ledger // nil without a database
	client     *tasks.Client
	clock      *limitedClock
	metrics    *metrics
	outage     *outage
	knownTicks *settledTicks
	logger     *slog.Logger
	testHook
}

// testHook is called by tests between the steps of a tick. Its error ends the runner as a kill would.
type testHook func(step string) error

func (f testHook) step(name string) error {
	if f == nil {
		return nil
	}
	return f(name)
}

var (
	errSuperseded = errors.New("another schedule is in force")
	// errEarly says that the broker's clock is behind a tick. The limited clock knows by then, and waits for it.
	errEarly = errors.New("the tick is ahead of the broker's clock")
	// errExhausted says that the entry has had as many ticks as it may have.
	errExhausted = errors.New("the schedule has had all of its ticks")
)

// Between attempts while the broker is away.
const (
	minBackoff = 100 * time.Millisecond
	maxBackoff = 2 * time.Second
)

// run ticks from the given time on until ctx ends, which gives nil, or the schedule is no longer in force, which gives
// errSuperseded. A tick that has begun when ctx ends is seen through, within tickTimeout.
func (r *runner) run(ctx context.Context, settled time.Time) error {
	defer r.outage.forget(r.entry.Name)
	backoff := minBackoff
	r.knownTicks.advance(r.entry, settled)
	for {
		next := r.entry.Rule.Next(settled)
		if next.IsZero() {
			<-ctx.Done()
			return nil
		}
		if r.clock.WaitUntil(ctx, next) != nil {
			return nil
		}
		reached, err := r.catchUp(ctx, settled)
		settled = reached
		r.knownTicks.advance(r.entry, settled)
		switch {
		case err == nil, errors.Is(err, errEarly):
			r.outage.answered(r.entry.Name)
			backoff = minBackoff
		case errors.Is(err, errSuperseded):
			return err
		case errors.Is(err, errExhausted):
			r.outage.answered(r.entry.Name)
			r.logger.Info("a schedule has had all of its ticks", "schedule", r.entry.Name, "max_ticks", r.entry.MaxTicks)
			<-ctx.Done()
			return nil
		default:
			r.outage.failed(r.entry.Name, err)
			if r.clock.Sleep(ctx, backoff) != nil {
				return nil
			}
			backoff = min(2*backoff, maxBackoff)
		}
	}
}

// catchUp does what is due after settled, and returns up to where all is settled now.
func (r *runner) catchUp(ctx context.Context, settled time.Time) (time.Time, error) {
	now := r.clock.Now()
	d := ticksBetween(r.entry.Rule, r.entry.Misfire, settled, now)
	if d.missed > 0 {
		// This scheduler was stopped or cut off, and the others may not have been; or its clock was set forward.
		if err := r.clock.measure(ctx); err != nil {
			return settled, err
		}
		now = r.clock.Now()
		last, err := r.store.LastSettled(ctx, r.entry.Name)
		if err != nil {
			return settled, err
		}
		if last.After(settled) {
			settled = last
		}
		d = ticksBetween(r.entry.Rule, r.entry.Misfire, settled, now)
	}
	if d.newest.IsZero() {
		return settled, nil
	}
	if d.missed > 0 {
		r.logger.Warn("ticks were missed", "schedule", r.entry.Name, "missed", d.missed, "or_more", d.more,
			"misfire", r.entry.Misfire, "enqueued_now", len(d.run), "since", settled)
	}
	if !d.dropped.IsZero() {
		if err := r.skip(ctx, d.dropped, d.count-len(d.run)); err != nil {
			return settled, err
		}
		settled = d.dropped
	}
	for _, tick := range d.run {
		if ctx.Err() != nil {
			return settled, nil
		}
		if err := r.tick(ctx, tick); err != nil {
			return settled, err
		}
		settled = tick
	}
	r.metrics.count(r.entry.Name, tickMissed, d.count-len(d.run))
	return d.newest, nil
}
