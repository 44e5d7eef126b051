package tasks

import (
	"context"
	"fmt"

	"github.com/paidui/paidui/tasks/broker"
)

// Outbox keeps tasks in a database until they have ended, and sends them to Redis as often as it takes. Package
// tasks/outbox has the one there is; a Tx knows its database's. It is safe for concurrent use.
type Outbox interface {
	// Client is what the tasks are sent with.
	Client() *Client
	// Put stores messages in a transaction of its own, all or none. With ErrDuplicate the
	// outbox has a task of the same id already.
	Put(ctx context.Context, messages ...*OutboxMessage) error
	// Find returns the task that the outbox keeps under the id, or nil; failure says why it was given up, if it was.
	Find(ctx context.Context, id string) (p *OutboxMessage, failure string, err error)
	// Remove takes a task out that has not been sent, and tells whether there was one.
	Remove(ctx context.Context, id string) (bool, error)
	// Ended notes that the task is over, so that it is never sent again. It does not block.
	Ended(id string)
}

// UseOutbox makes the client find tasks that are still in the outbox, and gives it one for tasks that are Durable.
// outbox.New calls it.
func (c *Client) UseOutbox(ob Outbox) { c.outbox.Store(&ob) }

// Immediate tells an outbox whether to send what was committed before the commit returns: see ClientOptions.
func (c *Client) Immediate() bool { return c.immediate }

// outboxOrNil is what UseOutbox was given.
func (c *Client) outboxOrNil() Outbox {
	if ob := c.outbox.Load(); ob != nil {
		return *ob
	}
	return nil
}

// Send puts the tasks of messages into their queues in few round trips and says what became of each: nil when Redis has the task, by
// this call or by an earlier one; ErrDuplicate when it is not to run because a unique or throttled task is there already;
// ErrQueueFull when its queue takes no more tasks now; ErrBroker when it is not known, so that it must be sent again.
func (c *Client) Send(ctx context.Context, list []*OutboxMessage) []error {
	return c.send(ctx, list, c.maxLength, c.notify)
}

// send tells notify, unless that is nil, of each task that is made. maxLength bounds the queues.
func (c *Client) send(ctx context.Context, list []*OutboxMessage, maxLength map[string]int, notify func(context.Context, string, *broker.Message)) []error {
	messages := make([]*broker.Message, len(list))
	for i, p := range list {
		m := *p.message
		m.MaxLength = maxLength[m.Queue]
		messages[i] = &m
	}
	errs := make([]error, len(list))
	for i, receipt := range c.broker.Enqueue(ctx, messages...) {
		// Taken is the id by the same task, sent before; or by one that had the chosen id already.
		_, errs[i] = accept(messages[i], false, receipt)
		if receipt.Outcome == broker.Made {
			c.recordSent(list[i])
			if notify != nil {
				notify(ctx, messages[i].ID, messages[i])
			}
		}
	}
	return errs
}

// SendAgain is Send for tasks that Redis has lost. Whoever waits for one of them goes on waiting.
func (c *Client) SendAgain(ctx context.Context, list []*OutboxMessage) []error {
	errs := c.send(ctx, list, nil, nil) // they were enqueued before
	var ids []string
	for i, p := range list {
		if errs[i] == nil {
			ids = append(ids, p.ID())
		}
	}
	_ = c.broker.Announce(ctx, ids) // who waits finds out by looking, a minute later at most
	return errs
}

// recordSent notes in the history that an outbox message's task is enqueued.
func (c *Client) recordSent(p *OutboxMessage) {
	if c.history == nil {
		return
	}
	h := parseHeaders(p.headers())
	if h.history == HistoryOff {
		return
	}
	m := p.message
	r := Record{
		ID: m.ID, Task: m.Task, Queue: m.Queue, State: StatePending, Run: 1, MaxRetries: max(m.MaxRetry-crashAllowance, 0),
		Tags: m.Tags, EnqueuedAt: h.enqueued, RequestID: h.requestID,
	}
	if h.history == HistoryFull {
		r.Args = m.Payload
	}
	c.history.Record(r)
}

// RedisPresence is what Redis knows of an outbox message's task.
type RedisPresence int

// The answers of Presence.
const (
	Lost    RedisPresence = iota // nothing: it was never sent, or Redis has lost it
	Alive                        // it waits or runs
	Ended                        // and is still known
	Blocked                      // it can't be there: something else has its key
)

// Presence asks Redis what has become of the tasks of messages, in few round trips.
func (c *Client) Presence(ctx context.Context, list []*OutboxMessage) ([]RedisPresence, error) {
	refs := make([]broker.Ref, len(list))
	for i, p := range list {
		refs[i] = broker.Ref{Queue: p.Queue(), ID: p.ID()}
	}
	states, err := c.broker.States(ctx, refs)
	if err != nil {
		return nil, fmt.Errorf("locate tasks: %w: %w", ErrBroker, err)
	}
	found := make([]RedisPresence, len(states))
	for i, state := range states {
		switch state {
		case "":
			found[i] = Lost
		case "completed", "archived":
			found[i] = Ended
		case broker.Foreign:
			found[i] = Blocked
		default:
			found[i] = Alive
		}
	}
	return found, nil
}

// endOutbox tells the outbox that the task has ended, so that it is not sent again when Redis loses it.
func (c *Client) endOutbox(id string) {
	if ob := c.outboxOrNil(); ob != nil {
		ob.Ended(id)
	}
}

// revokeOutbox revokes a task that waits in the outbox. It reports false when there is none.
func (c *Client) revokeOutbox(ctx context.Context, id, reason string) (bool, error) {
	ob := c.outboxOrNil()
	if ob == nil {
		return false, nil
	}
	record, err := c.outboxTask(ctx, id)
	if err != nil || record == nil {
		return false, err
	}
	removed, err := ob.Remove(ctx, id)
	if err != nil {
		return false, err
	}
	if removed {
		c.writeRevoked(record, reason)
	}
	return removed, nil
}

// outboxTask is the record of a task that waits in the outbox, or nil.
func (c *Client) outboxTask(ctx context.Context, id string) (*broker.StoredTask, error) {
	ob := c.outboxOrNil()
	if ob == nil {
		return nil, nil
	}
	p, failure, err := ob.Find(ctx, id)
	switch {
	case err != nil:
		return nil, fmt.Errorf("look up task %s in the outbox: %w", id, err)
	case p == nil:
		return nil, nil
	}
	r := p.storedTask()
	if failure != "" {
		r.State, r.LastError = "archived", failure
	}
	return r, nil
}

// findOutbox is outboxTask, and then asks Redis again: meanwhile the task may have been sent, and its row deleted.
func (c *Client) findOutbox(ctx context.Context, id string) (found *broker.StoredTask, inOutbox bool, err error) {
	r, err := c.outboxTask(ctx, id)
	if err != nil || r != nil || c.outboxOrNil() == nil {
		return r, r != nil, err
	}
	r, err = c.broker.Find(ctx, "", id)
	return r, false, err
}

// storedTask is the record that Redis would have of the task.
func (p *OutboxMessage) storedTask() *broker.StoredTask {
	m := p.message
	r := &broker.StoredTask{
		Queue:     m.Queue,
		ID:        m.ID,
		Task:      m.Task,
		State:     "pending",
		Payload:   m.Payload,
		Headers:   p.headers(),
		MaxRetry:  m.MaxRetry,
		Retention: m.Retention,
		Timeout:   m.Timeout,
		Tags:      append([]string{}, m.Tags...), // which JSON shows as a list
	}
	switch m.Priority {
	case broker.High:
		r.Priority = "high"
	case broker.Low:
		r.Priority = "low"
	}
	if !m.At.IsZero() {
		r.State, r.NextRunAt = "scheduled", m.At
	}
	return r
}

// Ping asks Redis for a sign of life.
func (c *Client) Ping(ctx context.Context) error {
	if err := c.broker.Ping(ctx); err != nil {
		return fmt.Errorf("%w: %w", ErrBroker, err)
	}
	return nil
}
