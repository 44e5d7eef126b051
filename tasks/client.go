package tasks

import (
	"context"
	"fmt"
	"time"

	"github.com/paidui/paidui/tasks/broker"
)

// Client enqueues tasks and asks about them. It shares its broker's connections and is safe for concurrent use.
type Client struct {
	broker *broker.Broker
	now    func() time.Time
}

// NewClient makes a client on an open broker, which stays the caller's to close.
func NewClient(b *broker.Broker) *Client {
	return &Client{broker: b, now: time.Now}
}

// handlerGrace is how long asynq waits beyond a task's own timeout before it gives the slot of a handler that ignores
// its context to another task.
const handlerGrace = 5 * time.Second

// crashAllowance is what asynq's retry limit has beyond the task's own. asynq archives a task whose worker died when
// its retries are used up, although that run never failed; below the limit it runs it again without counting. The mux
// holds the task's own limit.
const crashAllowance = 1

// message is the task as the broker stores it. It refuses with an *OptionError.
func (c *Client) message(ctx context.Context, name string, payload []byte, o *options) (*broker.Message, error) {
	now := c.now()
	if err := o.validate(now); err != nil {
		return nil, err
	}
	start, end, err := o.times(now)
	if err != nil {
		return nil, err
	}
	id := o.id
	if id == "" {
		id = NewID(o.queue)
	}
	h := headers{
		enqueued:  now,
		eta:       start,
		expires:   end,
		timeout:   o.timeout,
		backoff:   o.backoff,
		noResult:  o.retention == 0,
		requestID: RequestID(ctx),
	}
	m := &broker.Message{
		Queue:     o.queue,
		ID:        id,
		Task:      name,
		Payload:   payload,
		Headers:   h.encode(),
		MaxRetry:  o.maxRetries + crashAllowance,
		Timeout:   ceilSeconds(o.timeout) + handlerGrace,
		Retention: ceilSeconds(o.retention),
		UniqueFor: ceilSeconds(o.uniqueFor),
	}
	if !start.IsZero() {
		m.At = ceilSecond(start)
	}
	return m, nil
}

func (c *Client) enqueue(ctx context.Context, name string, payload []byte, o *options) (string, error) {
	m, err := c.message(ctx, name, payload, o)
	if err != nil {
		return "", err
	}
	return accept(m, o.id != "", c.broker.Enqueue(ctx, m)[0])
}

// accept reads a receipt. With ErrDuplicate it returns the id of the task that is there already. An id that was made
// here is nobody else's: if it is taken, an earlier try arrived whose answer was lost.
func accept(m *broker.Message, chosen bool, r broker.Receipt) (id string, err error) {
	owner := m.ID
	switch r.Outcome {
	case broker.Made:
		return m.ID, nil
	case broker.Held:
		owner = r.Owner
	case broker.Taken:
	default:
		return "", fmt.Errorf("enqueue %s: %w: %w", m.Task, ErrBroker, r.Err)
	}
	if owner == m.ID && !chosen {
		return m.ID, nil
	}
	return owner, fmt.Errorf("task %s: %w", owner, ErrDuplicate)
}
