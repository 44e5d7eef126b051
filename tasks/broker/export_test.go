package broker

import "time"

// Deliveries is how many tasks the fetcher believes to be in the hands of its worker.
func (f *Fetcher) Deliveries() int { return f.deliveries.len() }

// Ahead is how many tasks wait here for asynq.
func (f *Fetcher) Ahead() int { return f.prefetched.len() }

// SetTurnaround is the time from delivery to acknowledgement that the fetcher goes by.
func (f *Fetcher) SetTurnaround(d time.Duration) {
	f.deliveries.mu.Lock()
	defer f.deliveries.mu.Unlock()
	f.deliveries.turnaround = d
}
