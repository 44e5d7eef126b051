package server

import (
	"context"
	"runtime"
	"sync"
	"time"
)

const (
	// refusedPerCore is how many refusals a second are sent for each processor of the process: few enough to leave the
	// processors to accepted requests.
	refusedPerCore = 500
	// longestRefusal is the longest wait for a refusal.
	longestRefusal = 5 * time.Second
)

// pacer spreads refusals over time. Otherwise clients that ask again at once would keep the processor busy with refusals, and
// accepted requests would be slow. A request that waits for its refusal costs only its connection; maxWaiting leaves
// connections to others. It is safe for concurrent use.
type pacer struct {
	every      time.Duration
	longest    time.Duration
	maxWaiting int // requests that wait for their refusal at once; 0 is no limit

	mu      sync.Mutex
	next    time.Time
	waiting int
}

func newPacer(maxWaiting int) *pacer {
	return &pacer{every: time.Second / time.Duration(refusedPerCore*runtime.GOMAXPROCS(0)), longest: longestRefusal, maxWaiting: maxWaiting}
}

// wait returns when the caller's refusal is due, ctx ends, or stop is closed; at once when too many wait already.
func (p *pacer) wait(ctx context.Context, stop <-chan struct{}) {
	now := time.Now()
	p.mu.Lock()
	if p.next.Before(now) {
		p.next = now
	}
	due := min(p.next.Sub(now), p.longest)
	if due > 0 && p.maxWaiting > 0 && p.waiting >= p.maxWaiting {
		p.mu.Unlock()
		return
	}
	p.next = now.Add(due + p.every)
	if due == 0 {
		p.mu.Unlock()
		return
	}
	p.waiting++
	p.mu.Unlock()
	defer func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.waiting--
	}()
	timer := time.NewTimer(due)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	case <-stop:
	}
}
