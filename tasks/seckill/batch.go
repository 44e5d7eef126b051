package seckill

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"sync"
	"time"
)

const (
	// defaultBatch is how many orders share a transaction at most.
	defaultBatch = 256
	// flights is how many batches run at a time: one inserts while the other commits.
	flights = 2
	// batchLimit bounds one batch. With the end of its transaction, which may take models two seconds more, it is less than
	// Order's timeout, so that those who wait learn why it failed.
	batchLimit = 6 * time.Second
)

// batcher runs work for callers who come at the same time together, as a database does with commits: whoever finds
// nobody at work goes at once, and those who come meanwhile go together as soon as that is done. Nobody waits for
// company. Its goroutines end when nobody waits.
type batcher struct {
	size  int           // of a batch at most; with 1, nobody waits for another's turn either
	limit time.Duration // of one batch; batchLimit when 0
	work  func(ctx context.Context, batch []*placing)

	mu      sync.Mutex
	waiting []*seat
	flying  int
}

// seat is one caller's.
type seat struct {
	ctx  context.Context
	item *placing
	done chan struct{}
}

var errUndecided = errors.New("the batch ended without an answer")

// do returns when the work on the item is done, or with an error when ctx ends first. The item then stays out of the
// work if that has not begun; if it has, the item is not the caller's any more.
func (b *batcher) do(ctx context.Context, item *placing) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s := &seat{ctx: ctx, item: item, done: make(chan struct{})}
	b.mu.Lock()
	if b.size == 1 {
		go b.run([]*seat{s})
	} else {
		b.waiting = append(b.waiting, s)
		if b.flying < flights {
			b.flying++
			go b.fly()
		}
	}
	b.mu.Unlock()
	select {
	case <-s.done:
		return nil
	case <-ctx.Done():
		b.leave(s)
		return ctx.Err()
	}
}

func (b *batcher) leave(s *seat) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if i := slices.Index(b.waiting, s); i >= 0 {
		b.waiting = slices.Delete(b.waiting, i, i+1)
	}
}

func (b *batcher) fly() {
	for {
		batch := b.board()
		if len(batch) == 0 {
			return
		}
		b.run(batch)
	}
}

// board takes those whose turn it is. When nobody waits, the flight is over.
func (b *batcher) board() []*seat {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := min(len(b.waiting), b.size)
	if n == 0 {
		b.flying--
		return nil
	}
	batch := slices.Clone(b.waiting[:n])
	b.waiting = slices.Delete(b.waiting, 0, n)
	return batch
}

// run goes on when the context of a caller ends, for the others.
func (b *batcher) run(batch []*seat) {
	items := make([]*placing, len(batch))
	for i, s := range batch {
		s.item.err = errUndecided
		items[i] = s.item
	}
	defer func() {
		if r := recover(); r != nil {
			err := fmt.Errorf("panic: %v\n%s", r, debug.Stack())
			for _, item := range items {
				item.order, item.err = nil, err
			}
		}
		for _, s := range batch {
			close(s.done)
		}
	}()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(batch[0].ctx), cmp.Or(b.limit, batchLimit))
	defer cancel()
	b.work(ctx, items)
}
