package tasks

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/paidui/paidui/tasks/broker"
)

// Signature is a definition with the arguments and options of one call: a task that is still to be enqueued. It does not
// change, and can be stored and sent as JSON: then it is enqueued without its definition. Countdown and ExpiresIn count
// from when it is enqueued, unless Resolve has settled them.
type Signature struct {
	name    string
	payload []byte
	options options
	err     error // why the arguments are refused
}

// Signature binds arguments and options. Bad ones are reported when it is enqueued.
func (d *Definition[A, R]) Signature(args A, opts ...Option) Signature {
	s := Signature{name: d.name, options: d.options(opts)}
	s.payload, s.err = d.encodeArgs(args)
	return s
}

// Task is the name of the task that is to be enqueued, "" for the zero Signature.
func (s Signature) Task() string { return s.name }

// Validate reports whether Enqueue would refuse the signature now: with an *OptionError or *ArgsError.
func (s Signature) Validate() error {
	if err := s.validate(time.Now()); err != nil {
		return err
	}
	_, _, err := s.options.extra().encodeCallbacks()
	return err
}

// With is the signature with more options, which win over those that it has.
func (s Signature) With(opts ...Option) Signature {
	s.options.applyCall(opts)
	return s
}

// Enqueue puts the task into its queue. It returns the task's id, and with ErrDuplicate that of the task which is there
// already; an *OptionError or *ArgsError when the call is wrong; and ErrBroker when the task may be stored or not.
func (s Signature) Enqueue(ctx context.Context, c *Client) (id string, err error) {
	if err := s.check(); err != nil {
		return "", err
	}
	return c.enqueue(ctx, s.name, s.payload, &s.options)
}

// Resolve settles all that Enqueue would settle: the id, the queue, the times, the ids of the callbacks and the request
// of ctx. Whenever the resolved signature is enqueued, from whatever process, it is the same task; enqueueing it again is
// harmless while the first is queued, running or retained. It refuses with an *OptionError or *ArgsError.
func (s Signature) Resolve(ctx context.Context, c *Client) (resolved Signature, id string, err error) {
	o := &s.options
	from := o.resolution(ctx, c.now)
	from.enqueued = from.enqueued.Round(0) // as JSON has it
	if err := s.validate(from.enqueued); err != nil {
		return Signature{}, "", err
	}
	start, end, err := o.times(from.enqueued)
	if err != nil {
		return Signature{}, "", err
	}
	o.countdown, o.expiresIn = 0, 0
	o.eta, o.expires = start, end
	if err := c.settleCall(&s); err != nil {
		return Signature{}, "", err
	}
	o.change(func(e *extras) { e.resolution = &from })
	if _, _, err := o.extras.encodeCallbacks(); err != nil {
		return Signature{}, "", err
	}
	return s, o.id, nil
}

var errNoSignature = &OptionError{Field: "task", Msg: "is missing: the signature is empty"}

// check refuses an empty signature, and one whose arguments were refused.
func (s *Signature) check() error {
	switch {
	case s.err != nil:
		return s.err
	case s.name == "":
		return errNoSignature
	}
	return nil
}

// validate checks the signature as if it were enqueued at that time.
func (s *Signature) validate(now time.Time) error {
	if err := s.check(); err != nil {
		return err
	}
	if err := s.options.validate(now); err != nil {
		return err
	}
	_, _, err := s.options.times(now)
	return err
}

// Enqueued is what became of one of EnqueueMany's calls.
type Enqueued struct {
	// ID is the task's; with ErrDuplicate that of the task which is there already, and "" after any other error.
	ID string
	// Err is nil when the task was made. It is ErrDuplicate, an *OptionError or *ArgsError when the call is wrong, or
	// ErrBroker when the task may be stored or not.
	Err error
}

// manyChunk is how many tasks EnqueueMany prepares while Redis stores as many others.
const manyChunk = 256

// EnqueueMany enqueues tasks, also of several definitions and queues, in few round trips. It tells what became of each,
// in the order of the calls: one that is refused does not keep back the others. The tasks of one queue keep their order.
func EnqueueMany(ctx context.Context, c *Client, calls []Signature) []Enqueued {
	results := make([]Enqueued, len(calls))
	prepared := make(chan []preparedCall)
	var sender sync.WaitGroup
	sender.Go(func() {
		for batch := range prepared {
			send(ctx, c, batch)
		}
	})
	for first := 0; first < len(calls); first += manyChunk {
		last := min(first+manyChunk, len(calls))
		prepared <- prepare(ctx, c, calls[first:last], results[first:last])
	}
	close(prepared)
	sender.Wait()
	return results
}

// preparedCall is a call's message, and where its result goes.
type preparedCall struct {
	message *broker.Message
	options *options
	result  *Enqueued
}

// prepare makes the messages of the calls that are not refused.
func prepare(ctx context.Context, c *Client, calls []Signature, results []Enqueued) []preparedCall {
	batch := make([]preparedCall, 0, len(calls))
	for i := range calls {
		s := &calls[i]
		err := s.check()
		if err == nil {
			var m *broker.Message
			if m, err = c.message(ctx, s.name, s.payload, &s.options); err == nil {
				batch = append(batch, preparedCall{m, &s.options, &results[i]})
			}
		}
		results[i].Err = err
	}
	return batch
}

func send(ctx context.Context, c *Client, batch []preparedCall) {
	batch = sendDurable(ctx, c, batch)
	messages := make([]*broker.Message, len(batch))
	for i, s := range batch {
		messages[i] = s.message
	}
	for i, receipt := range c.broker.Enqueue(ctx, messages...) {
		s := batch[i]
		s.result.ID, s.result.Err = c.accept(ctx, s.message, s.options, receipt)
	}
}

// EnqueueIf is Enqueue on a condition that Redis judges in the same script, and so in the same moment (on a Redis
// Cluster: just before). made reports whether the gate opened; reply is its answer.
func (d *Definition[A, R]) EnqueueIf(ctx context.Context, c *Client, gate broker.Gate, args A, opts ...Option) (id string, made bool, reply any, err error) {
	payload, err := d.encodeArgs(args)
	if err != nil {
		return "", false, nil, err
	}
	o := d.options(opts)
	if o.durable {
		return "", false, nil, optionErrorf("durable", "does not go with a gate, which only Redis can judge")
	}
	m, err := c.message(ctx, d.name, payload, &o)
	if err != nil {
		return "", false, nil, err
	}
	r := c.broker.EnqueueIf(ctx, gate, m)
	if r.Outcome == broker.Refused {
		return "", false, r.Reply, nil
	}
	id, err = c.accept(ctx, m, &o, r)
	return id, err == nil, r.Reply, err
}

// encodeArgs is the arguments' JSON, or an *ArgsError.
func (d *Definition[A, R]) encodeArgs(args A) ([]byte, error) {
	if err := validateArgs(args); err != nil {
		return nil, err
	}
	payload, err := json.Marshal(args)
	if err != nil {
		return nil, fmt.Errorf("task %s: encode arguments: %w", d.name, err)
	}
	return payload, checkReserved(payload)
}

// options are the definition's, changed by the call's.
func (d *Definition[A, R]) options(opts []Option) options {
	o := d.defaults
	o.applyCall(opts)
	return o
}
