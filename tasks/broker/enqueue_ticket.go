package broker

import (
	"context"
	"sync/atomic"
)

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
