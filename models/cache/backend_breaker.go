package cache

import (
	"sync/atomic"
	"time"
)

const (
	// breakAfter is how many failures in a row open a breaker: one connection that breaks is no dead server.
	breakAfter = 3
	// restFor is how long an open breaker asks nobody, before each probe.
	restFor = time.Second
)

// breaker keeps callers from a server that does not answer, so that its absence does not cost each of them a timeout.
// It opens after breakAfter failures in a row. Then nobody asks but one caller in each restFor, the probe, and an answer
// closes it. The zero value is closed. It is safe for concurrent use.
type breaker struct {
	failures atomic.Int32 // since the last answer, about
	until    atomic.Int64 // Unix ns before which nobody asks; 0 when closed
}

// allow reports whether to ask the server.
func (b *breaker) allow(now time.Time) bool {
	until := b.until.Load()
	return until == 0 || now.UnixNano() >= until && b.until.CompareAndSwap(until, now.Add(restFor).UnixNano())
}

// failed notes that the server did not answer. It reports whether that opened the breaker.
func (b *breaker) failed(now time.Time) (opened bool) {
	if b.failures.Add(1) < breakAfter {
		return false
	}
	return b.until.Swap(now.Add(restFor).UnixNano()) == 0
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
