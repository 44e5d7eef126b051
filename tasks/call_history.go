package tasks

import (
	"context"

	"github.com/paidui/paidui/tasks/broker"
)

// writeEnqueued tells the history that the task is enqueued. id is the task's: of a debounced call, that of an earlier one.
func (c *Client) writeEnqueued(ctx context.Context, m *broker.Message, o *options, id string) {
	if c.history == nil || o.history == HistoryOff {
		return
	}
	enqueued := parseMillis(m.Headers[0].Value) // see headers.encode
	r := Record{
		ID: id, Task: m.Task, Queue: m.Queue, State: StatePending, Run: 1,
		MaxRetries: o.maxRetries, Tags: m.Tags, EnqueuedAt: enqueued, RequestID: o.resolution(ctx, c.now).requestID,
	}
	if o.history == HistoryFull {
		r.Args = m.Payload
	}
	c.history.Record(r)
}
