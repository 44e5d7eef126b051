package seckill

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"sync/atomic"
	"time"

	"github.com/paidui/paidui/models/redisx"
)

const (
	// defaultBatch is how many orders share a transaction at most.
	defaultBatch = 256
	// batchesInFlight is how many batches run at a time: one inserts while the other commits.
	batchesInFlight = 2
	// batchLimit bounds one batch. With the end of its transaction, which may take models two seconds more, it is less than
	// Order's timeout, so that those who wait learn why it failed.
	batchLimit = 6 * time.Second
)

// batcher runs work for callers who come at the same time together, as a database does with commits. Its goroutines end
// when nobody waits.
type batcher struct {
	limit time.Duration // of one batch; batchLimit when 0
	work  func(ctx context.Context, batch []*orderRequest)
	group redisx.Batcher[*request] // with a Size of 1 it is not used: nobody waits for another's turn then
}

// newBatcher makes a batcher of batches of so many orders at most.
func newBatcher(size int, work func(ctx context.Context, batch []*orderRequest)) *batcher {
	b := &batcher{work: work}
	b.group = redisx.Batcher[*request]{Flush: b.run, Size: size, MaxInFlight: batchesInFlight}
	return b
}

// request is one caller's.
type request struct {
	ctx   context.Context
	item  *orderRequest
	taken atomic.Bool // by its batch, or by its caller, who left before that
	done  chan struct{}
}

var errUndecided = errors.New("the batch ended without an answer")

// do returns when the work on the item is done, or with an error when ctx ends first. The item then stays out of the
// work if that has not begun; if it has, the item is not the caller's any more.
func (b *batcher) do(ctx context.Context, item *orderRequest) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	r := &request{ctx: ctx, item: item, done: make(chan struct{})}
	if b.group.Size == 1 {
		go b.run([]*request{r})
	} else {
		b.group.Add(r)
	}
	select {
	case <-r.done:
		return nil
	case <-ctx.Done():
		r.taken.Store(true)
		return ctx.Err()
	}
}

// run goes on when the context of a caller ends, for the others.
func (b *batcher) run(batch []*request) {
	batch = slices.DeleteFunc(batch, func(r *request) bool { return !r.taken.CompareAndSwap(false, true) })
	if len(batch) == 0 {
		return
	}
	items := make([]*orderRequest, len(batch))
	for i, r := range batch {
		r.item.err = errUndecided
		items[i] = r.item
	}
	defer func() {
		if r := recover(); r != nil {
			err := fmt.Errorf("panic: %v\n%s", r, debug.Stack())
			for _, item := range items {
				item.order, item.err = nil, err
			}
		}
		for _, r := range batch {
			close(r.done)
		}
	}()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(batch[0].ctx), cmp.Or(b.limit, batchLimit))
	defer cancel()
	b.work(ctx, items)
}
