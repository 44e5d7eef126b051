package redisx

import (
	"runtime"
	"sync"
)

// Batcher joins the items of concurrent callers, so that many share one round trip or one transaction (group commit). No
// item waits for company: it goes at once while fewer than MaxInFlight batches are under way, and the items that come
// meanwhile go together. Its goroutines end when no item waits. It is safe for concurrent use; its fields are set before
// the first Add.
type Batcher[T any] struct {
	Flush       func(batch []T) // may keep the batch; it is called by up to MaxInFlight goroutines at a time
	Size        int             // items in a batch, at most; at least 1
	MaxInFlight int             // batches under way, at most; at least 1

	mu      sync.Mutex
	waiting []T
	busy    int
}

// Add hands the items in and does not wait for them.
func (b *Batcher[T]) Add(items ...T) {
	b.mu.Lock()
	b.waiting = append(b.waiting, items...)
	start := b.busy < b.MaxInFlight
	if start {
		b.busy++
	}
	b.mu.Unlock()
	if start {
		go b.run()
	}
}

// Load is how many items are in no batch yet, and how many batches are under way.
func (b *Batcher[T]) Load() (waiting, busy int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.waiting), b.busy
}

func (b *Batcher[T]) run() {
	for {
		runtime.Gosched() // who is about to add an item does so first
		batch := b.take()
		if batch == nil {
			return
		}
		b.Flush(batch)
	}
}

// take returns nil when nothing waits.
func (b *Batcher[T]) take() []T {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := min(len(b.waiting), b.Size)
	if n == 0 {
		b.waiting = nil // a burst leaves nothing behind
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
