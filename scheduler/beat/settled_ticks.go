package beat

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/paidui/paidui/tasks/schedule"
	"github.com/paidui/paidui/tasks/ticks"
)

// settledTicks holds, for each entry, the latest tick that this scheduler knows to be settled, by itself or by others. It is
// needed when Redis has lost its data: then the ticks since follow their misfire rule. A scheduler that was cut off for
// longer than the others, and is the first to reach a Redis that has lost its data, enqueues ticks again that the others
// had enqueued. It also holds the secret that the ids of ticks are made with: with a new secret, a tick that another
// scheduler is about to enqueue would be enqueued under two ids. It is safe for concurrent use.
type settledTicks struct {
	mu      sync.Mutex
	settled map[entryRule]time.Time
	secret  []byte // of the ids of ticks, nil before the first announcement
}

type entryRule struct{ entry, rule string }

func newSettledTicks() *settledTicks { return &settledTicks{settled: make(map[entryRule]time.Time)} }

// advance notes that the ticks of an entry are settled up to a time.
func (k *settledTicks) advance(e schedule.Entry, settled time.Time) {
	k.mu.Lock()
	defer k.mu.Unlock()
	key := entryRule{e.Name, e.RuleID()}
	if settled.After(k.settled[key]) {
		k.settled[key] = settled
	}
}

// setSecret notes the secret that is in force.
func (k *settledTicks) setSecret(secret []byte) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.secret = secret
}

// loadNoted adds to a plan the ticks of durable entries that the database has noted. While the database is away, a Redis that
// has a schedule is enough; with one that has none, all entries wait.
func (b *Beat) loadNoted(ctx context.Context, s *Schedule, plan *ticks.Plan) error {
	if !s.Durable() {
		return nil
	}
	asking, cancel := context.WithTimeout(ctx, tickTimeout/2)
	defer cancel()
	noted, err := b.ledger().Noted(asking)
	if err != nil {
		if vacant, away := b.store.Vacant(ctx); away != nil || vacant {
			return errors.Join(err, away)
		}
		return nil
	}
	counts, err := b.ledger().Counts(asking)
	if err != nil {
		return err
	}
	for i := range plan.Entries {
		e := &plan.Entries[i]
		if e.CountOf != "" {
			e.Count = counts[ticks.Noted{Entry: e.Name, Rule: ticks.Digest(e.CountOf)}]
		}
		if tick, ok := noted[ticks.Noted{Entry: e.Name, Rule: ticks.Digest(e.Rule)}]; ok && tick.After(e.Known) {
			e.Known = tick
		}
	}
	return nil
}

// forgetTimeout bounds how long forgetNoted may hold up others that note ticks.
const forgetTimeout = 5 * time.Second

// forgetNoted deletes the noted ticks of entries that are gone, are not durable any more, or are paused, unless another
// schedule is in force by then.
func (b *Beat) forgetNoted(ctx context.Context, s *planned) {
	var ticking, counted []string
	for _, e := range s.Entries() {
		if !e.Options.Durable {
			continue
		}
		counted = append(counted, e.Name) // a pause goes on counting
		if !e.Paused {
			ticking = append(ticking, e.Name)
		}
	}
	asking, cancel := context.WithTimeout(ctx, forgetTimeout)
	defer cancel()
	err := b.ledger().Forget(asking, ticking, counted, func() error { return b.stillInForce(asking, s) })
	if err != nil && ctx.Err() == nil && !errors.Is(err, errSuperseded) {
		b.opt.Logger.Warn("the next start or change of the schedules tries it again", "error", err)
	}
}

// plan is the schedule's plan with the settled ticks of its entries. Those of other entries are dropped: an entry that comes
// back starts anew.
func (k *settledTicks) plan(s *Schedule, now time.Time) ticks.Plan {
	plan := planOf(s, now)
	k.mu.Lock()
	defer k.mu.Unlock()
	kept := make(map[entryRule]time.Time, len(plan.Entries))
	for i := range plan.Entries {
		e := &plan.Entries[i]
		key := entryRule{e.Name, e.Rule}
		if settled, ok := k.settled[key]; ok {
			kept[key], e.Known = settled, settled
		}
	}
	k.settled = kept
	plan.Secret = k.secret
	return plan
}
