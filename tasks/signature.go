package tasks

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"

	"github.com/paidui/paidui/tasks/broker"
)

// Signature is a definition with the arguments and options of one call: a task that is still to be enqueued.
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
	prepared := make(chan []submission)
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

// submission is a message, and where to say what became of it.
type submission struct {
	message *broker.Message
	chosen  bool // the id is the caller's
	result  *Enqueued
}

// prepare makes the messages of the calls that are not refused.
func prepare(ctx context.Context, c *Client, calls []Signature, results []Enqueued) []submission {
	batch := make([]submission, 0, len(calls))
	for i := range calls {
		s := &calls[i]
		err := s.err
		if err == nil {
			var m *broker.Message
			if m, err = c.message(ctx, s.name, s.payload, &s.options); err == nil {
				batch = append(batch, submission{m, s.options.id != "", &results[i]})
			}
		}
		results[i].Err = err
	}
	return batch
}

func send(ctx context.Context, c *Client, batch []submission) {
	messages := make([]*broker.Message, len(batch))
	for i, s := range batch {
		messages[i] = s.message
	}
	for i, receipt := range c.broker.Enqueue(ctx, messages...) {
		s := batch[i]
		s.result.ID, s.result.Err = accept(s.message, s.chosen, receipt)
	}
}

// EnqueueIf is Enqueue on a condition that Redis judges in the same script, and so in the same moment (on a Redis
// Cluster: just before). made tells whether the gate opened; reply is its answer.
func (d *Definition[A, R]) EnqueueIf(ctx context.Context, c *Client, gate broker.Gate, args A, opts ...Option) (id string, made bool, reply any, err error) {
	payload, err := d.encodeArgs(args)
	if err != nil {
		return "", false, nil, err
	}
	o := d.options(opts)
	m, err := c.message(ctx, d.name, payload, &o)
	if err != nil {
		return "", false, nil, err
	}
	r := c.broker.EnqueueIf(ctx, gate, m)
	if r.Outcome == broker.Refused {
		return "", false, r.Reply, nil
	}
	id, err = accept(m, o.id != "", r)
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
	return payload, nil
}

// options are the definition's, changed by the call's.
func (d *Definition[A, R]) options(opts []Option) options {
	o := d.defaults
	for _, opt := range opts {
		opt(&o)
	}
	return o
}
