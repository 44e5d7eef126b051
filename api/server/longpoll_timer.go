package server

import (
	"math/rand/v2"
	"time"

	"github.com/paidui/paidui/models/redisx"
)

// sharedTimer is one timer for all who wait for its span. It is safe for concurrent use.
type sharedTimer struct {
	span  time.Duration
	timer redisx.SharedTimer
}

// after returns a channel that closes after the span, or earlier for those who share it with an earlier caller.
func (t *sharedTimer) after() <-chan struct{} { return t.timer.After(t.span) }

// sharedTimers have different spans, from half of the longest on, so that thousands of waiters do not all wake at once.
type sharedTimers [8]sharedTimer

func newSharedTimers(longest time.Duration) *sharedTimers {
	t := new(sharedTimers)
	for i := range t {
		t[i].span = longest - longest/2*time.Duration(i)/time.Duration(len(t))
	}
	return t
}

// any draws one of the timers.
func (t *sharedTimers) any() *sharedTimer { return &t[rand.IntN(len(t))] }
