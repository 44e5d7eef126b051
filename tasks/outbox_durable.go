package tasks

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/paidui/paidui/tasks/broker"
)

// Durable has Enqueue keep the task in the database's outbox until it has ended, as EnqueueTx does: it survives the loss
// of all that Redis holds, and can be enqueued while Redis is away. It costs a transaction. The client must have an outbox
// (see package tasks/outbox). What EnqueueTx says about unique, throttled and debounced tasks holds here too.
func Durable() Option { return durable(true) }

func durable(on bool) Option { return func(o *options) { o.durable = on } }

// Repeatable says that it does no harm to run the task again after it has ended, as happens now and then when the worker
// that ran it dies at once, or the database does not answer. So a task from an outbox leaves no trace in Redis beyond its
// Retention, where others are known for OutboxRetention, at about a kilobyte each. It is for definitions of tasks that come in
// great numbers.
func Repeatable() Option { return func(o *options) { o.repeatable = true } }

// trace is how long the task is to be known to Redis after its end, at least.
func (o *options) trace() time.Duration {
	if o.durable && !o.repeatable {
		return max(o.retention, OutboxRetention)
	}
	return o.retention
}

// putDurable stores messages in the outbox and says what became of each.
func (c *Client) putDurable(ctx context.Context, messages ...*broker.Message) []error {
	errs := make([]error, len(messages))
	fail := func(err error) []error {
		for i := range errs {
			errs[i] = err
		}
		return errs
	}
	ob := c.outboxOrNil()
	if ob == nil {
		return fail(optionErrorf("durable", "needs a client with an outbox, which a program has with its database (PAIDUI_DATABASE_URL), or makes with outbox.New"))
	}
	rows := make([]*OutboxMessage, len(messages))
	for i, m := range messages {
		rows[i] = newOutboxMessage(m)
	}
	if len(messages) == 1 && c.isElsewhere(ctx, messages[0]) {
		return fail(fmt.Errorf("task %s: %w", messages[0].ID, ErrDuplicate))
	}
	err := ob.Put(ctx, rows...)
	if !errors.Is(err, ErrDuplicate) {
		if err != nil {
			err = fmt.Errorf("enqueue: %w", err)
		}
		return fail(err)
	}
	if len(rows) == 1 {
		return fail(fmt.Errorf("task %s: %w", rows[0].ID(), ErrDuplicate))
	}
	for i := range messages { // none was stored: find out which can be
		errs[i] = c.putDurable(ctx, messages[i])[0]
	}
	return errs
}

// isElsewhere reports whether another queue has the chosen id of a message. While Redis does not answer it tells nothing: then
// the relay drops the task if it finds the id taken.
func (c *Client) isElsewhere(ctx context.Context, m *broker.Message) bool {
	if !m.Chosen || c.broker == nil {
		return false
	}
	found, err := c.broker.Find(ctx, "", m.ID)
	return err == nil && found != nil && found.Queue != m.Queue
}

// acceptDurable is what became of one of putDurable's messages, and with ErrDuplicate the id that was taken.
func acceptDurable(m *broker.Message, err error) (id string, _ error) {
	if err != nil && !errors.Is(err, ErrDuplicate) {
		return "", err
	}
	return m.ID, err
}

// sendDurable stores the durable ones of a batch, and returns the others.
func sendDurable(ctx context.Context, c *Client, batch []preparedCall) []preparedCall {
	isDurable := func(s preparedCall) bool { return s.options.durable }
	if !slices.ContainsFunc(batch, isDurable) {
		return batch
	}
	var messages []*broker.Message
	var results []*Enqueued
	for _, s := range batch {
		if s.options.durable {
			messages, results = append(messages, s.message), append(results, s.result)
		}
	}
	for i, err := range c.putDurable(ctx, messages...) {
		results[i].ID, results[i].Err = acceptDurable(messages[i], err)
	}
	return slices.DeleteFunc(batch, isDurable)
}
