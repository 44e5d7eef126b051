package taskstest

import (
	"sync"
	"time"
)

// Clock is a time that moves only when it is told to. It is safe for concurrent use.
type Clock struct {
	mu  sync.Mutex
	now time.Time
}

// epoch is so far ahead that nothing which waits for a time by a Clock is due by the machine's own.
var epoch = time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC)

func newClock() *Clock { return &Clock{now: epoch} }

// Now is the clock's time. At first it is 2100-01-01 00:00 UTC.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *Clock) set(now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now.After(c.now) {
		c.now = now
	}
}
