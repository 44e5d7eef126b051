package broker

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// batcher joins what concurrent callers hand in, so that many share one round trip (group commit). Nobody waits for
// company: an item goes at once while a lane is free, and those that come meanwhile go together.
type batcher[T any] struct {
	flush func(batch []T)
	size  int // items in a batch, at most
	lanes int // batches under way, at most

	mu      sync.Mutex
	waiting []T
	busy    int
}

func (b *batcher[T]) add(items ...T) {
	b.mu.Lock()
	b.waiting = append(b.waiting, items...)
	start := b.busy < b.lanes
	if start {
		b.busy++
	}
	b.mu.Unlock()
	if start {
		go b.run()
	}
}

func (b *batcher[T]) run() {
	for {
		runtime.Gosched() // who is about to add an item does so first
		batch := b.take()
		if batch == nil {
			return
		}
		b.flush(batch)
	}
}

func (b *batcher[T]) take() []T {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := min(len(b.waiting), b.size)
	if n == 0 {
		b.waiting = nil
		b.busy--
		return nil
	}
	batch := b.waiting[:n:n]
	if n == len(b.waiting) {
		b.waiting = make([]T, 0, n)
	} else {
		b.waiting = b.waiting[n:]
	}
	return batch
}

// ticket lets one caller wait for its items.
type ticket struct {
	left      atomic.Int32
	abandoned atomic.Bool // the caller is gone: what was not sent yet need not be
	ready     chan struct{}
}

func newTicket(items int) *ticket {
	t := &ticket{ready: make(chan struct{})}
	t.left.Store(int32(items))
	return t
}

// done reports that one item has its outcome.
func (t *ticket) done() {
	if t.left.Add(-1) == 0 {
		close(t.ready)
	}
}

// wait returns when all items have their outcome, or with ctx's error; outcomes must not be read then. It looks at ctx
// only once soon has passed: most are quicker, and a context may have to start a timer for whoever waits for its end.
func (t *ticket) wait(ctx context.Context, soon <-chan struct{}) error {
	select {
	case <-t.ready:
		return nil
	case <-soon:
	}
	select {
	case <-t.ready:
		return nil
	case <-ctx.Done():
		t.abandoned.Store(true)
		return context.Cause(ctx)
	}
}

// coarse gives all who ask within a span one channel, which closes when it is over. The zero coarse is ready.
type coarse struct {
	mu   sync.Mutex
	over chan struct{}
}

func (c *coarse) after(span time.Duration) <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.over == nil {
		over := make(chan struct{})
		c.over = over
		time.AfterFunc(span, func() {
			c.mu.Lock()
			c.over = nil
			c.mu.Unlock()
			close(over)
		})
	}
	return c.over
}
