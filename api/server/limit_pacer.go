package server

import (
	"context"
	"runtime"
	"sync"
	"time"
)

const (
	// refusedPerCore is how many requests a second are refused for each processor that the process may use: few enough to
	// leave it to what was accepted.
	refusedPerCore = 500
	// longestRefusal is how long a request waits for its refusal at most.
	longestRefusal = 5 * time.Second
)

// pacer spreads refusals over time. Clients that ask again as soon as they are refused would else take the whole processor
// for that, and the requests that were accepted would wait for it at each step. A request that waits for its refusal costs its
// connection alone; so that connections are left for others, only so many wait at once. It is safe for concurrent use.
type pacer struct {
	every   time.Duration
	longest time.Duration
	most    int // requests that wait for their refusal at once; 0 is no limit

	mu      sync.Mutex
	next    time.Time
	waiting int
}

func newPacer(most int) *pacer {
	return &pacer{every: time.Second / time.Duration(refusedPerCore*runtime.GOMAXPROCS(0)), longest: longestRefusal, most: most}
}

// wait returns when the caller's refusal is due, ctx ends, or hurry is closed; at once when too many wait already.
func (p *pacer) wait(ctx context.Context, hurry <-chan struct{}) {
	now := time.Now()
	p.mu.Lock()
	if p.next.Before(now) {
		p.next = now
	}
	due := min(p.next.Sub(now), p.longest)
	if due > 0 && p.most > 0 && p.waiting >= p.most {
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
	case <-hurry:
	}
}
