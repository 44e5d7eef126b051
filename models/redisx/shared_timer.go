package redisx

import (
	"sync"
	"time"
)

// SharedTimer is one timer for all who begin to wait within a span: what ends a little early for some costs less than a
// timer for each. The zero value is ready. It is safe for concurrent use.
type SharedTimer struct {
	mu   sync.Mutex
	over chan struct{}
}

// After returns a channel that closes when the span is over, or earlier: as soon as the span of whoever asked first is.
func (t *SharedTimer) After(span time.Duration) <-chan struct{} {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.over == nil {
		over := make(chan struct{})
		t.over = over
		time.AfterFunc(span, func() {
			t.mu.Lock()
			t.over = nil
			t.mu.Unlock()
			close(over)
		})
	}
	return t.over
}
