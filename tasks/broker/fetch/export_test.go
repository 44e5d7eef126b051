package fetch

import (
	"time"

	"github.com/paidui/paidui/tasks/broker/internal/format"
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

// Age makes what waits here for asynq so much older.
func (f *Fetcher) Age(by time.Duration) {
	f.prefetched.mu.Lock()
	defer f.prefetched.mu.Unlock()
	for _, b := range f.prefetched.batches {
		for i := range b.tasks {
			b.tasks[i].began -= by.Milliseconds()
		}
	}
}

// SetPatience is how long tasks that were fetched ahead wait for a free slot.
func (f *Fetcher) SetPatience(d time.Duration) { f.prefetched.patience = d }

// Spread is how long a task waits after its worker's death, when it has outlived so many before.
var Spread = spread

// SetCancelPause is the first pause between tries to subscribe to asynq's cancellations.
func (f *Fetcher) SetCancelPause(d time.Duration) { f.cancels.first = d }

// BeatEvery is how often a worker beats.
const BeatEvery = format.StandardLife / beatsPerLife

// Delivery is this worker's of a task, nil without one.
func (f *Fetcher) Delivery(queue, id string) *Delivery {
	return f.deliveries.get(format.TaskKey(queue, id))
}
