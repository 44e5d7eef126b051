package tasks

import (
	"context"

	"github.com/paidui/paidui/tasks/broker"
)

// record notes that the task is enqueued. id is the task's, which for a debounced call is another one's.
func (c *Client) record(ctx context.Context, m *broker.Message, o *options, id string) {
	if c.history == nil || o.history == HistoryOff {
		return
	}
	enqueued := parseMillis(m.Headers[0].Value) // see headers.encode
	r := Record{
		ID: id, Task: m.Task, Queue: m.Queue, State: StatePending, Run: 1,
		MaxRetries: o.maxRetries, Tags: m.Tags, EnqueuedAt: enqueued, RequestID: o.origin(ctx, c.now).requestID,
	}
	if o.history == HistoryFull {
		r.Args = m.Payload
	}
	c.history.Record(r)
}
