package tasks

import (
	"context"
	"sync"
	"time"

	"github.com/paidui/paidui/tasks/broker"
)

// The pauses between looks for a task that an outbox has not sent yet, or that Redis has lost.
const (
	firstOutboxPause = 2 * time.Millisecond
	maxOutboxPause   = time.Second
)

// outboxWatcher watches a task of an outbox: in Redis while Redis has it, and in the outbox otherwise.
type outboxWatcher struct {
	client  *Client
	id      string
	changed chan struct{} // holds a token while there is something to take
	stop    context.CancelFunc

	mu     sync.Mutex
	record *broker.StoredTask
	err    error
}

// followOutbox watches a task that may be in the outbox. from watches it in Redis, and is nil when Redis does not have it.
func (c *Client) followOutbox(ctx context.Context, id string, from *broker.Watcher, record *broker.StoredTask) (*Watcher, *Info, error) {
	if from == nil {
		var err error
		if record, _, err = c.findOutbox(ctx, id); err != nil {
			return nil, nil, lookupError(ctx, id, err)
		}
		if record == nil {
			return nil, nil, notFound(id)
		}
	} else if !parseHeaders(record.Headers).outbox {
		return &Watcher{client: c, id: id, from: from}, c.info(record), nil
	}
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	a := &outboxWatcher{client: c, id: id, changed: make(chan struct{}, 1), stop: stop}
	go a.run(running, from)
	return &Watcher{client: c, id: id, from: a}, c.info(record), nil
}

// Changed implements source.
func (a *outboxWatcher) Changed() <-chan struct{} { return a.changed }

// Take implements source.
func (a *outboxWatcher) Take() (*broker.StoredTask, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.record, a.err
}

// Close implements source.
func (a *outboxWatcher) Close() { a.stop() }

func (a *outboxWatcher) publish(r *broker.StoredTask, err error) {
	a.mu.Lock()
	a.record, a.err = r, err
	a.mu.Unlock()
	select {
	case a.changed <- struct{}{}:
	default:
	}
}

// run follows the task until it has ended, is found nowhere, or ctx ends.
func (a *outboxWatcher) run(ctx context.Context, from *broker.Watcher) {
	for {
		if from == nil {
			if from = a.awaitSent(ctx); from == nil {
				return
			}
		}
		if lost := a.forward(ctx, from); !lost {
			return
		}
		from = nil
	}
}

// forward publishes the task's changes in Redis. It reports true when Redis has lost the task.
func (a *outboxWatcher) forward(ctx context.Context, from *broker.Watcher) (lost bool) {
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
		a.publish(r, err)
		if err != nil || r.Final() {
			return false
		}
	}
}

// awaitSent waits until Redis has the task. It returns nil when ctx has ended, or when the task was found nowhere or given
// up, which it tells. What can't be asked now is asked again.
func (a *outboxWatcher) awaitSent(ctx context.Context) *broker.Watcher {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for pause := firstOutboxPause; ; pause = min(2*pause, maxOutboxPause) {
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
		}
		from, record, err := a.client.follow(ctx, a.id)
		if from != nil {
			a.publish(record, nil)
			return from
		}
		if err == nil {
			record, _, err = a.client.findOutbox(ctx, a.id)
			if err == nil && (record == nil || record.Final()) {
				a.publish(record, nil)
				return nil
			}
		}
		timer.Reset(pause)
	}
}
