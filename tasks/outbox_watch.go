package tasks

import (
	"context"
	"sync"
	"time"

	"github.com/paidui/paidui/tasks/broker"
)

// The pauses between looks for a task that an outbox has not sent yet, or that Redis has lost.
const (
	firstArrivalPause = 2 * time.Millisecond
	maxArrivalPause   = time.Second
)

// arrival follows a task of an outbox: in Redis when it is there, else until it comes there.
type arrival struct {
	client  *Client
	id      string
	changed chan struct{} // holds a token while there is something to take
	stop    context.CancelFunc

	mu     sync.Mutex
	record *broker.StoredTask
	err    error
}

// followKept watches a task that from follows already, unless that is nil.
func (c *Client) followKept(ctx context.Context, id string, from *broker.Watcher, record *broker.StoredTask) (*Watcher, *Info, error) {
	if from == nil {
		var err error
		if record, err = c.findKept(ctx, id); err != nil {
			return nil, nil, lookupError(ctx, id, err)
		}
		if record == nil {
			return nil, nil, notFound(id)
		}
	} else if !parseHeaders(record.Headers).outbox {
		return &Watcher{client: c, id: id, from: from}, c.info(record), nil
	}
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	a := &arrival{client: c, id: id, changed: make(chan struct{}, 1), stop: stop}
	go a.run(running, from)
	return &Watcher{client: c, id: id, from: a}, c.info(record), nil
}

// Changed implements source.
func (a *arrival) Changed() <-chan struct{} { return a.changed }

// Take implements source.
func (a *arrival) Take() (*broker.StoredTask, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.record, a.err
}

// Close implements source.
func (a *arrival) Close() { a.stop() }

func (a *arrival) tell(r *broker.StoredTask, err error) {
	a.mu.Lock()
	a.record, a.err = r, err
	a.mu.Unlock()
	select {
	case a.changed <- struct{}{}:
	default:
	}
}

// run follows the task until it has ended, is found nowhere, or ctx ends.
func (a *arrival) run(ctx context.Context, from *broker.Watcher) {
	for {
		if from == nil {
			if from = a.await(ctx); from == nil {
				return
			}
		}
		if lost := a.forward(ctx, from); !lost {
			return
		}
		from = nil
	}
}

// forward passes on what Redis tells of the task. It reports true when Redis has it no longer.
func (a *arrival) forward(ctx context.Context, from *broker.Watcher) (lost bool) {
	defer from.Close()
	for {
		select {
		case <-ctx.Done():
			return false
		case <-from.Changed():
		}
		r, err := from.Take()
		if err == nil && r == nil {
			return true
		}
		a.tell(r, err)
		if err != nil || r.Final() {
			return false
		}
	}
}

// await waits for Redis to have the task. It returns nil when ctx has ended, or when the task was found nowhere or given
// up, which it tells. What can't be asked now is asked again.
func (a *arrival) await(ctx context.Context) *broker.Watcher {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for pause := firstArrivalPause; ; pause = min(2*pause, maxArrivalPause) {
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
		}
		from, record, err := a.client.follow(ctx, a.id)
		if from != nil {
			a.tell(record, nil)
			return from
		}
		if err == nil {
			record, err = a.client.findKept(ctx, a.id)
			if err == nil && (record == nil || record.Final()) {
				a.tell(record, nil)
				return nil
			}
		}
		timer.Reset(pause)
	}
}
