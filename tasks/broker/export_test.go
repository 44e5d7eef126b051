package broker

import (
	"cmp"
	"context"
	"time"
)

// SetWatching changes how often watched tasks are checked for lost events, and how long the subscription outlives the
// last watcher. Call it before the first Watch.
func (b *Broker) SetWatching(check, linger time.Duration) {
	b.events.check, b.events.linger = check, linger
}

// Watched is how many tasks are watched here.
func (b *Broker) Watched() int {
	b.events.mu.Lock()
	defer b.events.mu.Unlock()
	n := 0
	for _, t := range b.events.topics {
		for ; t != nil; t = t.next {
			n++
		}
	}
	return n
}

// Listening reports whether the broker is subscribed to events.
func (b *Broker) Listening() bool {
	b.events.mu.Lock()
	defer b.events.mu.Unlock()
	return b.events.subscription != nil && b.events.subscription.established
}

// SetUnsubscribed changes how often watched tasks are checked while there is no subscription. Call it before the first Watch.
func (b *Broker) SetUnsubscribed(d time.Duration) { b.events.unsubscribed = d }

// SetShortList is the longest list that a revoked task is looked for in.
func (b *Broker) SetShortList(n int) { b.shortList = n }

// SetPriorityList replaces PriorityList.
func (b *Broker) SetPriorityList(n int) { b.priorityList = n }

// CheckLimits are those of a check that a test changes. Zero is as usual, but for Unsettled.
type CheckLimits struct {
	Step, Kept, Suspects, Visits int
	Unsettled                    time.Duration
}

// CheckPeak is the most that a check had in memory.
type CheckPeak struct{ Kept, Suspects int }

// CheckWithin is Check within other limits.
func (b *Broker) CheckWithin(ctx context.Context, opt CheckOptions, l CheckLimits) (Checked, CheckPeak, error) {
	limits := standardCheck()
	limits.step, limits.kept = cmp.Or(l.Step, limits.step), cmp.Or(l.Kept, limits.kept)
	limits.suspects, limits.visits = cmp.Or(l.Suspects, limits.suspects), cmp.Or(l.Visits, limits.visits)
	limits.unsettled = l.Unsettled
	c := newChecker(b, opt, limits)
	var peak CheckPeak
	c.opt.Step = func(queues, tasks int) error {
		var kept, suspects int
		for _, q := range c.queues {
			kept += len(q.waiting) + len(q.active)
			suspects += len(q.suspects) + len(q.unowned)
		}
		peak.Kept, peak.Suspects = max(peak.Kept, kept), max(peak.Suspects, suspects)
		if opt.Step != nil {
			return opt.Step(queues, tasks)
		}
		return nil
	}
	err := c.run(ctx)
	return c.found, peak, err
}

// Mend looks at tasks of a queue as if a check had found all of them suspect.
func (b *Broker) Mend(ctx context.Context, queue string, ids []string) (map[Fault]int, error) {
	c := newChecker(b, CheckOptions{}, standardCheck())
	err := c.mend(ctx, &checkedQueue{name: queue}, ids)
	return c.found.Faults, err
}
