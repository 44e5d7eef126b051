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
// connection alone, of which there is a limit. It is safe for concurrent use.
type pacer struct {
	every   time.Duration
	longest time.Duration

	mu   sync.Mutex
	next time.Time
}

func newPacer() *pacer {
	return &pacer{every: time.Second / time.Duration(refusedPerCore*runtime.GOMAXPROCS(0)), longest: longestRefusal}
}

// wait returns when the caller's refusal is due, ctx ends, or hurry is closed.
func (p *pacer) wait(ctx context.Context, hurry <-chan struct{}) {
	now := time.Now()
	p.mu.Lock()
	if p.next.Before(now) {
		p.next = now
	}
	due := min(p.next.Sub(now), p.longest)
	p.next = now.Add(due + p.every)
	p.mu.Unlock()
	if due == 0 {
		return
	}
	timer := time.NewTimer(due)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	case <-hurry:
	}
}
