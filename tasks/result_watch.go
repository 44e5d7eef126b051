package tasks

import (
	"context"
	"iter"

	"github.com/paidui/paidui/tasks/broker"
)

// Watcher follows one task. Its methods are for one goroutine, but Close for any. Use Client.Wait or Client.Watch unless
// there is more to wait for at the same time.
type Watcher struct {
	client *Client
	id     string
	from   source
}

// source is a *broker.Watcher, or an *outboxWatcher.
type source interface {
	Changed() <-chan struct{}
	Take() (*broker.StoredTask, error)
	Close()
}

// Follow begins to watch a task, and returns where it stands now; or ErrNotFound, or ErrBroker. The watcher is the
// caller's to close.
func (c *Client) Follow(ctx context.Context, id string) (*Watcher, *Info, error) {
	if !ValidID(id) {
		return nil, nil, notFound(id)
	}
	from, record, err := c.follow(ctx, id)
	if err != nil {
		return nil, nil, lookupError(ctx, id, err)
	}
	if ob := c.outboxOrNil(); ob != nil {
		return c.followOutbox(ctx, id, from, record)
	}
	if from == nil {
		return nil, nil, notFound(id)
	}
	return &Watcher{client: c, id: id, from: from}, c.info(record), nil
}

// follow returns nothing when Redis has no such task.
func (c *Client) follow(ctx context.Context, id string) (*broker.Watcher, *broker.StoredTask, error) {
	if queue, ok := queueOf(id); ok {
		from, record, err := c.broker.Watch(ctx, queue, id)
		if from != nil || err != nil {
			return from, record, err
		}
	}
	found, err := c.broker.Find(ctx, "", id)
	if err != nil || found == nil {
		return nil, nil, err
	}
	return c.broker.Watch(ctx, found.Queue, id)
}

// Changed receives when the task is not as it was last told. Changes that nobody has asked for become one. It may
// receive without a change.
func (w *Watcher) Changed() <-chan struct{} { return w.from.Changed() }

// Info is where the task stands, after Changed has received; or ErrNotFound when nothing is kept of it any more, or
// ErrBroker when the broker was closed.
func (w *Watcher) Info() (*Info, error) {
	record, err := w.from.Take()
	switch {
	case err != nil:
		return nil, lookupError(context.Background(), w.id, err)
	case record == nil:
		return nil, notFound(w.id)
	}
	return w.client.info(record), nil
}

// Close ends the watching. Twice is safe.
func (w *Watcher) Close() { w.from.Close() }

// Wait returns once the task has ended. When ctx ends first it returns the last state seen together with ctx's error;
// the state is nil if there was none. ErrNotFound says that there is no such task, or that nothing was to be kept of its
// end; ErrBroker, that it was not possible to begin. A broker that goes away meanwhile only makes the answer late.
func (c *Client) Wait(ctx context.Context, id string) (*Info, error) {
	var last *Info
	for info, err := range c.Watch(ctx, id) {
		if err != nil {
			return last, err
		}
		last = info
	}
	return last, nil
}

// Watch yields where a task stands: at once, and then at each change, until it has ended. Of changes that come faster
// than the loop takes them it sees the latest. An error, which comes last, is one of Wait's.
func (c *Client) Watch(ctx context.Context, id string) iter.Seq2[*Info, error] {
	return func(yield func(*Info, error) bool) {
		w, info, err := c.Follow(ctx, id)
		if err != nil {
			yield(nil, err)
			return
		}
		defer w.Close()
		for yield(info, nil) && !info.State.Final() {
			select {
			case <-ctx.Done():
				yield(nil, context.Cause(ctx))
				return
			case <-w.Changed():
			}
			if info, err = w.Info(); err != nil {
				yield(nil, err)
				return
			}
		}
	}
}
