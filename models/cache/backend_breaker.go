package cache

import (
	"sync/atomic"
	"time"
)

const (
	// failuresToOpen is how many failures in a row open a breaker: one connection that breaks is no dead server.
	failuresToOpen = 3
	// openFor is how long an open breaker asks nobody, before each probe.
	openFor = time.Second
)

// breaker is a circuit breaker before a server: while the server does not answer, callers fail at once instead of each
// waiting for a timeout. It opens after failuresToOpen failures in a row. Then one caller in each openFor is let through, the
// probe, and an answer closes the breaker. The zero value is closed. It is safe for concurrent use.
type breaker struct {
	failures atomic.Int32 // since the last answer, about
	until    atomic.Int64 // Unix ns before which nobody asks; 0 when closed
}

// allow reports whether to ask the server.
func (b *breaker) allow(now time.Time) bool {
	until := b.until.Load()
	return until == 0 || now.UnixNano() >= until && b.until.CompareAndSwap(until, now.Add(openFor).UnixNano())
}

// failed notes that the server did not answer. It reports whether that opened the breaker.
func (b *breaker) failed(now time.Time) (opened bool) {
	if b.failures.Add(1) < failuresToOpen {
		return false
	}
	return b.until.Swap(now.Add(openFor).UnixNano()) == 0
}

// answered notes that the server did. It reports whether that closed the breaker.
func (b *breaker) answered() (closed bool) {
	if b.failures.Load() != 0 {
		b.failures.Store(0)
	}
	return b.until.Load() != 0 && b.until.Swap(0) != 0
}

func (b *breaker) open() bool { return b.until.Load() != 0 }

// resting reports whether nobody asks now.
func (b *breaker) resting(now time.Time) bool { return b.until.Load() > now.UnixNano() }
