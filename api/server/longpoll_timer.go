package server

import (
	"math/rand/v2"
	"sync"
	"time"
)

// pulse gives all who ask within a span one channel, which closes when it is over: one timer for all.
type pulse struct {
	span time.Duration

	mu   sync.Mutex
	next chan struct{}
}

func (p *pulse) over() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.next == nil {
		next := make(chan struct{})
		p.next = next
		time.AfterFunc(p.span, func() {
			p.mu.Lock()
			p.next = nil
			p.mu.Unlock()
			close(next)
		})
	}
	return p.next
}

// pulses are some with spans from half of the longest on, so that thousands who wait do not all wake at once.
type pulses [8]pulse

func newPulses(longest time.Duration) *pulses {
	p := new(pulses)
	for i := range p {
		p[i].span = longest - longest/2*time.Duration(i)/time.Duration(len(p))
	}
	return p
}

func (p *pulses) any() *pulse { return &p[rand.IntN(len(p))] }
