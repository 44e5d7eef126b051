package beat

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/paidui/paidui/tasks/ticks"
)

// known is up to when this scheduler knows the ticks of each entry to be settled, by itself or by others. Redis knows it
// better, until it loses its data: then the ticks since are made up for as their misfire rule says. A scheduler that was
// cut off for longer than its fellows, and is the first to come back to a Redis that has lost its data, makes ticks again
// that they had made. The secret that the ids of ticks are made with is kept, too: with another one, a tick that a fellow is
// about to enqueue would be enqueued under two ids. It is safe for concurrent use.
type known struct {
	mu      sync.Mutex
	settled map[knownRule]time.Time
	secret  []byte // of the ids of ticks, nil before the first announcement
}

type knownRule struct{ entry, rule string }

func newKnown() *known { return &known{settled: make(map[knownRule]time.Time)} }

// learn keeps the latest time of an entry.
func (k *known) learn(e entry, settled time.Time) {
	k.mu.Lock()
	defer k.mu.Unlock()
	key := knownRule{e.name, e.ruleID()}
	if settled.After(k.settled[key]) {
		k.settled[key] = settled
	}
}

// agree keeps the secret that is in force.
func (k *known) agree(secret []byte) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.secret = secret
}

// recall completes a plan with what the database knows of durable entries. While the database is away, a Redis that knows
// a schedule is enough; with one that knows none all entries wait.
func (b *Beat) recall(ctx context.Context, schedule *Schedule, plan *ticks.Plan) error {
	if !schedule.durable() {
		return nil
	}
	asking, cancel := context.WithTimeout(ctx, tickTimeout/2)
	defer cancel()
	noted, err := b.opt.Ledger.Noted(asking)
	if err != nil {
		if vacant, away := b.store.Vacant(ctx); away != nil || vacant {
			return errors.Join(err, away)
		}
		return nil
	}
	for i := range plan.Entries {
		e := &plan.Entries[i]
		if tick, ok := noted[ticks.Noted{Entry: e.Name, Rule: ticks.Digest(e.Rule)}]; ok && tick.After(e.Known) {
			e.Known = tick
		}
	}
	return nil
}

// forgetTimeout bounds how long forgetNoted may hold up others that note ticks.
const forgetTimeout = 5 * time.Second

// forgetNoted has the database forget entries that are gone, are not durable any more, or pause, unless another schedule
// is in force by then.
func (b *Beat) forgetNoted(ctx context.Context, schedule *Schedule) {
	var durable []string
	for _, e := range schedule.entries {
		if e.options.durable && !e.paused {
			durable = append(durable, e.name)
		}
	}
	asking, cancel := context.WithTimeout(ctx, forgetTimeout)
	defer cancel()
	err := b.opt.Ledger.Forget(asking, durable, func() error {
		presence, err := b.store.Heartbeat(asking, schedule.hash)
		if err == nil && presence != ticks.InForce {
			err = errSuperseded
		}
		return err
	})
	if err != nil && ctx.Err() == nil && !errors.Is(err, errSuperseded) {
		b.opt.Logger.Warn("the next start or change of the schedules tries it again", "error", err)
	}
}

// of is the schedule's plan with what is known of it. The rest is forgotten: an entry that comes back starts anew.
func (k *known) of(schedule *Schedule, now time.Time) ticks.Plan {
	plan := schedule.plan(now)
	k.mu.Lock()
	defer k.mu.Unlock()
	kept := make(map[knownRule]time.Time, len(plan.Entries))
	for i := range plan.Entries {
		e := &plan.Entries[i]
		key := knownRule{e.Name, e.Rule}
		if settled, ok := k.settled[key]; ok {
			kept[key], e.Known = settled, settled
		}
	}
	k.settled = kept
	plan.Secret = k.secret
	return plan
}
