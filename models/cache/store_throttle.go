package cache

import (
	"sync/atomic"
	"time"
)

// logEvery is the time between two lines that say the same.
const logEvery = time.Second

// throttle keeps the log short when everything fails at once. Its zero value is ready.
type throttle struct {
	next    atomic.Int64 // Unix ns
	skipped atomic.Int64
}

// allow reports whether to log, and how often it did not since it last did.
func (t *throttle) allow(now time.Time) (ok bool, skipped int64) {
	next := t.next.Load()
	if now.UnixNano() < next || !t.next.CompareAndSwap(next, now.Add(logEvery).UnixNano()) {
		t.skipped.Add(1)
		return false, 0
	}
	return true, t.skipped.Swap(0)
}

// bucket allows so many a second on average, and a burst of them. It is a token bucket in one number, the time at which
// it will be full again (the generic cell rate algorithm). It is safe for concurrent use.
type bucket struct {
	interval time.Duration // between two, on average
	burst    int
	full     atomic.Int64 // Unix ns
}

func (b *bucket) allow(now time.Time) bool {
	for {
		full := b.full.Load()
		next := max(full, now.UnixNano()) + int64(b.interval)
		if next > now.UnixNano()+int64(b.interval)*int64(b.burst) {
			return false
		}
		if b.full.CompareAndSwap(full, next) {
			return true
		}
	}
}
