package cache

import (
	"sync/atomic"
	"time"
)

const (
	logEvery = time.Second
	restFor  = time.Second
)

// health lets a failing Redis rest for a moment, so that readers go straight to the database instead of each
// waiting for a connection, and keeps the log short. Its zero value is a healthy one.
type health struct {
	downUntil atomic.Int64 // Unix ns; 0 when Redis answers
	nextLog   atomic.Int64 // Unix ns
}

// allow reports whether to ask Redis. While it rests nobody does, and then one caller in each further rest, until
// that one's answer is ok.
func (h *health) allow(now time.Time) bool {
	until := h.downUntil.Load()
	return until == 0 || now.UnixNano() >= until && h.downUntil.CompareAndSwap(until, now.Add(restFor).UnixNano())
}

func (h *health) fail(now time.Time) { h.downUntil.Store(now.Add(restFor).UnixNano()) }

func (h *health) ok() {
	if h.downUntil.Load() != 0 {
		h.downUntil.Store(0)
	}
}

func (h *health) mayLog(now time.Time) bool {
	next := h.nextLog.Load()
	return now.UnixNano() >= next && h.nextLog.CompareAndSwap(next, now.Add(logEvery).UnixNano())
}
