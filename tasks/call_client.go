package tasks

import (
	"context"
	"fmt"
	"maps"
	"sync/atomic"
	"time"

	"github.com/paidui/paidui/models/keyring"
	"github.com/paidui/paidui/tasks/broker"
)

// Client enqueues tasks and asks about them. It shares its broker's connections and is safe for concurrent use.
type Client struct {
	broker    *broker.Broker
	routes    Routes
	history   Recorder
	keys      *keyring.Ring // nil: nothing is encrypted
	now       func() time.Time
	notify    func(ctx context.Context, id string, m *broker.Message) // may be nil
	immediate bool
	outbox    atomic.Pointer[Outbox]
	services  serviceCache
	maxLength map[string]int // pending tasks by queue
}

// ClientOptions configure a Client. The zero value is a plain one.
type ClientOptions struct {
	Routes  Routes           // from tasks to queues
	History Recorder         // of the tasks that it enqueues; nil keeps none
	Keys    *keyring.Ring    // for definitions that are Encrypted; nil leaves their values in the clear
	Now     func() time.Time // nil is time.Now
	// Enqueued is called after a task was enqueued, with its id: a debounced call's is an earlier one's. Nil: nothing is.
	Enqueued func(ctx context.Context, id string, m *broker.Message)
	// Immediate has an outbox of the client send each task at once, before the commit of its transaction returns. It is for
	// tests: Redis may keep the caller waiting, and so may Enqueued.
	Immediate bool
	// MaxLength is with how many pending tasks a queue takes no more: calls fail with ErrQueueFull. Queues that it does not
	// name, and those with 0, have no bound. It does not hold for callbacks, nor for what has been accepted: retries, tasks that
	// become due or are taken over. What an outbox has accepted waits in it until the queue takes it.
	MaxLength map[string]int
}

// NewClient makes a client on an open broker, which stays the caller's to close. It takes one ClientOptions at most.
func NewClient(b *broker.Broker, opt ...ClientOptions) *Client {
	c := &Client{broker: b, now: time.Now}
	for _, o := range opt {
		c.routes, c.history, c.keys, c.notify, c.immediate = o.Routes, o.History, o.Keys, o.Enqueued, o.Immediate
		c.maxLength = maps.Clone(o.MaxLength)
		if o.Now != nil {
			c.now = o.Now
		}
	}
	return c
}

// backstop is how long asynq waits beyond a task's hard limit, which the mux holds, before it gives the slot to another
// task.
const backstop = 10 * time.Second

// crashAllowance is what asynq's retry limit has beyond the task's own. asynq archives a task whose worker died when
// its retries are used up, although that run never failed; below the limit it runs it again without counting. The mux
// holds the task's own limit.
const crashAllowance = 1

// resolution is when a call was made, and for which HTTP request.
type resolution struct {
	enqueued  time.Time
	requestID string
}

// resolution is that of a call which Signature.Resolve has settled, else now and the request of ctx.
func (o *options) resolution(ctx context.Context, now func() time.Time) resolution {
	if settled := o.extra().resolution; settled != nil {
		return *settled
	}
	return resolution{enqueued: now(), requestID: RequestID(ctx)}
}

// QueueOf is where a call of the task goes that names no queue: where a route sends it, or its definition.
func (c *Client) QueueOf(task Spec) string {
	if queue, routed := c.routes.Queue(task.Name()); routed {
		return queue
	}
	return task.Queue()
}

// queueOf is where the call goes.
func (c *Client) queueOf(name string, o *options) string {
	if !o.queueChosen {
		if queue, routed := c.routes.Queue(name); routed {
			return queue
		}
	}
	return o.queue
}

// message is the task as the broker stores it. It refuses with an *OptionError.
func (c *Client) message(ctx context.Context, name string, payload []byte, o *options) (*broker.Message, error) {
	from := o.resolution(ctx, c.now)
	if err := o.validate(from.enqueued); err != nil {
		return nil, err
	}
	start, end, err := o.times(from.enqueued)
	if err != nil {
		return nil, err
	}
	queue, id := c.queueOf(name, o), o.id
	if id == "" {
		id = NewID(queue)
	}
	h := headers{
		runOptions: o.runOptions,
		enqueued:   from.enqueued,
		eta:        start,
		expires:    end,
		noResult:   o.retention == 0,
		requestID:  from.requestID,
	}
	m := &broker.Message{
		Queue:     queue,
		ID:        id,
		Chosen:    o.id != "" && !o.idMade,
		Task:      name,
		Payload:   payload,
		MaxRetry:  o.maxRetries + crashAllowance,
		Timeout:   ceilSeconds(o.hardLimit()) + backstop,
		Retention: ceilSeconds(o.trace()),
		Priority:  broker.Priority(o.priority),
		UniqueFor: ceilSeconds(o.uniqueFor),
		Throttle:  ceilSeconds(o.throttle),
		Debounce:  ceilSeconds(o.debounce),
		MaxLength: c.maxLength[queue],
	}
	if o.extras != nil {
		if err := c.addExtras(m, &h, o.extras); err != nil {
			return nil, err
		}
	}
	if o.encrypted {
		if err := c.encryptArgs(m, o); err != nil {
			return nil, err
		}
		h.encrypted = isSealed(m.Payload)
	}
	m.Headers = h.encode()
	switch {
	case !start.IsZero():
		m.At = ceilSecond(start)
	case o.debounce > 0:
		m.At = ceilSecond(from.enqueued.Add(o.debounce))
	}
	return m, nil
}

// addExtras completes a message and its headers with what few tasks have.
func (c *Client) addExtras(m *broker.Message, h *headers, e *extras) (err error) {
	if e.uniqueKey != "" {
		m.Key = []byte(e.uniqueKey)
	}
	m.Tags, h.tags = e.tags, e.tags
	h.user, h.parent = e.headers, e.parent
	if e.parent != "" {
		m.Retention = max(m.Retention, callbackTrace)
		m.MaxLength = 0 // a worker would wait for itself
	}
	if !e.hasCallbacks() {
		return nil
	}
	var settled extras
	if settled.onSuccess, err = c.settleCalls(e.onSuccess); err != nil {
		return err
	}
	if settled.onFailure, err = c.settleCalls(e.onFailure); err != nil {
		return err
	}
	h.onSuccess, h.onFailure, err = settled.encodeCallbacks()
	return err
}

func (c *Client) enqueue(ctx context.Context, name string, payload []byte, o *options) (string, error) {
	m, err := c.message(ctx, name, payload, o)
	if err != nil {
		return "", err
	}
	if o.durable {
		return acceptDurable(m, c.putDurable(ctx, m)[0])
	}
	return c.accept(ctx, m, o, c.broker.Enqueue(ctx, m)[0])
}

// accept reads a receipt, and notes a task that is enqueued in the history.
func (c *Client) accept(ctx context.Context, m *broker.Message, o *options, r broker.Receipt) (id string, err error) {
	id, err = accept(m, o.id != "" && !o.idMade, r)
	if err == nil {
		c.writeEnqueued(ctx, m, o, id)
		if c.notify != nil {
			c.notify(ctx, id, m)
		}
	}
	return id, err
}

// accept reads a receipt. With ErrDuplicate it returns the id of the task that is there already. An id that was made
// here is nobody else's: if its queue has it, an earlier try arrived whose answer was lost.
func accept(m *broker.Message, chosen bool, r broker.Receipt) (id string, err error) {
	owner := m.ID
	switch r.Outcome {
	case broker.Made:
		return m.ID, nil
	case broker.Replaced:
		return r.Owner, nil
	case broker.Held:
		owner = r.Owner
	case broker.Taken:
		chosen = chosen || r.Other
	case broker.Full:
		return "", fmt.Errorf("enqueue %s: queue %s has %d pending tasks: %w", m.Task, m.Queue, m.MaxLength, ErrQueueFull)
	default:
		return "", fmt.Errorf("enqueue %s: %w: %w", m.Task, ErrBroker, r.Err)
	}
	if owner == m.ID && !chosen {
		return m.ID, nil
	}
	return owner, fmt.Errorf("task %s: %w", owner, ErrDuplicate)
}
