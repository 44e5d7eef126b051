package broker

import (
	"cmp"
	"context"
	"time"
)

// Deliveries is how many tasks the fetcher believes to be in the hands of its worker.
func (f *Fetcher) Deliveries() int { return f.deliveries.len() }

// Die ends the fetcher's heartbeat without a word, as the death of its process does.
func (f *Fetcher) Die() {
	f.life.end()
	<-f.life.over
}

// Begin is what the first dequeue begins with.
func (f *Fetcher) Begin() { f.start() }

// Beat is one heartbeat, with all that comes of it.
func (f *Fetcher) Beat(ctx context.Context) error {
	err := f.beat(ctx)
	f.life.taking.Lock() // what it found to do is done
	defer f.life.taking.Unlock()
	return err
}

// LifeName is the fetcher's life in Redis.
func (f *Fetcher) LifeName() string { return f.life.name }

// Forget makes the fetcher forget all its deliveries, as it does with those that asynq has given up.
func (f *Fetcher) Forget() {
	f.deliveries.mu.Lock()
	defer f.deliveries.mu.Unlock()
	clear(f.deliveries.byKey)
}

// Ahead is how many tasks wait here for asynq.
func (f *Fetcher) Ahead() int { return f.prefetched.len() }

// Stopped tells whether the fetcher finds nothing any more.
func (f *Fetcher) Stopped() bool { return f.stopped() }

// StandStill makes the last beat of the delivery's worker so long ago that another may have its task.
func (d *Delivery) StandStill() { d.f.life.doubt() }

// SetTurnaround is the time from delivery to acknowledgement that the fetcher goes by.
func (f *Fetcher) SetTurnaround(d time.Duration) {
	f.deliveries.mu.Lock()
	defer f.deliveries.mu.Unlock()
	f.deliveries.turnaround = d
}

// SetPatience is how long tasks that were fetched ahead wait for a free slot.
func (f *Fetcher) SetPatience(d time.Duration) { f.prefetched.patience = d }

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
	return b.events.ear != nil && b.events.ear.heard
}

// Spread is how long a task waits after its worker's death, when it has outlived so many before.
var Spread = spread

// SetCancelPause is the first pause between tries to subscribe to asynq's cancellations.
func (f *Fetcher) SetCancelPause(d time.Duration) { f.cancels.first = d }

// SetUnheard changes how often watched tasks are checked while there is no subscription. Call it before the first Watch.
func (b *Broker) SetUnheard(d time.Duration) { b.events.unheard = d }

// BeatEvery is how often a worker beats.
const BeatEvery = standardLife / beatsPerLife

// SetShortList is the longest list that a revoked task is looked for in.
func (b *Broker) SetShortList(n int) { b.shortList = n }

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
