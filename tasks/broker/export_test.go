package broker

import "time"

// Deliveries is how many tasks the fetcher believes to be in the hands of its worker.
func (f *Fetcher) Deliveries() int { return f.deliveries.len() }

// Forget makes the fetcher forget all its deliveries, as it does long after their leases have ended.
func (f *Fetcher) Forget() {
	f.deliveries.mu.Lock()
	defer f.deliveries.mu.Unlock()
	clear(f.deliveries.byKey)
}

// Ahead is how many tasks wait here for asynq.
func (f *Fetcher) Ahead() int { return f.prefetched.len() }

// Stopped tells whether the fetcher finds nothing any more.
func (f *Fetcher) Stopped() bool { return f.stopped() }

// StandStill makes it so long ago that the delivery's lease was extended that another worker may have its task.
func (d *Delivery) StandStill() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.alive = d.alive.Add(-leaseTime)
}

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
