package tasks

import (
	"context"
	"encoding/json"
	"fmt"

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

// EnqueueMany enqueues tasks, also of several definitions and queues, in few round trips. It tells what became of each,
// in the order of the calls: one that is refused does not keep back the others. The tasks of one queue start in order.
func EnqueueMany(ctx context.Context, c *Client, calls []Signature) []Enqueued {
	results := make([]Enqueued, len(calls))
	messages := make([]*broker.Message, 0, len(calls))
	of := make([]int, 0, len(calls)) // by message: its call
	for i := range calls {
		s := &calls[i]
		if s.err != nil {
			results[i].Err = s.err
			continue
		}
		m, err := c.message(ctx, s.name, s.payload, &s.options)
		if err != nil {
			results[i].Err = err
			continue
		}
		messages, of = append(messages, m), append(of, i)
	}
	for i, receipt := range c.broker.Enqueue(ctx, messages...) {
		r := &results[of[i]]
		r.ID, r.Err = accept(messages[i], calls[of[i]].options.id != "", receipt)
	}
	return results
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
