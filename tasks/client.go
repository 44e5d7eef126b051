package tasks

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hibiken/asynq"

	"github.com/paidui/paidui/tasks/broker"
)

// Client enqueues tasks and asks about them. It shares its broker's connections and is safe for concurrent use.
type Client struct {
	broker    *broker.Broker
	queue     *asynq.Client
	inspector *asynq.Inspector
	now       func() time.Time
}

// NewClient makes a client on an open broker, which stays the caller's to close.
func NewClient(b *broker.Broker) *Client {
	return &Client{
		broker:    b,
		queue:     asynq.NewClientFromRedisClient(b.Redis()),
		inspector: asynq.NewInspectorFromRedisClient(b.Redis()),
		now:       time.Now,
	}
}

// handlerGrace is how long asynq waits beyond a task's own timeout before it gives the slot of a handler that ignores
// its context to another task.
const handlerGrace = 5 * time.Second

func (c *Client) enqueue(ctx context.Context, name string, payload []byte, o options) (string, error) {
	now := c.now()
	if err := o.validate(now); err != nil {
		return "", err
	}
	start, end, err := o.times(now)
	if err != nil {
		return "", err
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
	opts := []asynq.Option{
		asynq.TaskID(id),
		asynq.Queue(o.queue),
		asynq.MaxRetry(o.maxRetries + crashAllowance),
		asynq.Timeout(ceilSeconds(o.timeout) + handlerGrace),
		asynq.Retention(ceilSeconds(o.retention)),
	}
	if !start.IsZero() {
		opts = append(opts, asynq.ProcessAt(ceilSecond(start)))
	}
	if o.uniqueFor > 0 {
		opts = append(opts, asynq.Unique(ceilSeconds(o.uniqueFor)))
	}
	task := asynq.NewTaskWithHeaders(name, payload, h.encode(), opts...)
	first, err := c.put(ctx, task, o, id)
	if errors.Is(err, broker.ErrNoOwner) {
		first, err = c.put(ctx, task, o, id) // the unique task ended in between
	}
	if err != nil {
		return first, err
	}
	if start.IsZero() {
		c.broker.Ring(o.queue)
	} else {
		c.broker.List(o.queue)
	}
	return id, nil
}

// put enqueues a task under its id. With ErrDuplicate it returns the id of the task that is there already.
func (c *Client) put(ctx context.Context, task *asynq.Task, o options, id string) (string, error) {
	_, err := c.queue.EnqueueContext(ctx, task)
	switch {
	case errors.Is(err, asynq.ErrTaskIDConflict):
		if o.id == "" {
			return id, nil // an id made here is nobody else's: the first try arrived and its answer was lost
		}
		if o.uniqueFor > 0 {
			// asynq took the lock before it saw the conflict; nobody would give it back.
			if err := c.broker.DropUnique(ctx, o.queue, task.Type(), task.Payload(), id); err != nil {
				return "", fmt.Errorf("enqueue %s: %w: %w", task.Type(), ErrBroker, err)
			}
		}
		return id, fmt.Errorf("task %s: %w", id, ErrDuplicate)
	case errors.Is(err, asynq.ErrDuplicateTask):
		first, err := c.broker.UniqueOwner(ctx, o.queue, task.Type(), task.Payload())
		switch {
		case err != nil:
			return "", fmt.Errorf("enqueue %s: find the unique task: %w: %w", task.Type(), ErrBroker, err)
		case first == id && o.id == "":
			return id, nil // as above
		}
		return first, fmt.Errorf("task %s: %w", first, ErrDuplicate)
	case err != nil:
		return "", fmt.Errorf("enqueue %s: %w: %w", task.Type(), ErrBroker, err)
	}
	return id, nil
}

// crashAllowance is what asynq's retry limit has beyond the task's own. asynq archives a task whose worker died when
// its retries are used up, although that run never failed; below the limit it runs it again without counting. The mux
// holds the task's own limit.
const crashAllowance = 1
