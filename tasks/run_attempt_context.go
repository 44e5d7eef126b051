package tasks

import (
	"context"
	"time"

	"github.com/paidui/paidui/models/lazyctx"
)

// attemptContext is the context of one attempt: it knows its task and ends with the attempt's time limit.
type attemptContext struct {
	context.Context // of the delivery
	task            *Task
	limit           lazyctx.End
}

// begin sets the time limit, counted from now.
func (c *attemptContext) begin(parent context.Context, task *Task, now time.Time, limit time.Duration) {
	c.Context, c.task = parent, task
	c.limit.SetDeadline(now.Add(limit))
}

// end releases what the context holds. Whatever still waits for it sees it cancelled.
func (c *attemptContext) end() { c.limit.Close(c.Context) }

// cancel ends the context with a cause.
func (c *attemptContext) cancel(cause error) { c.limit.Cancel(c.Context, cause) }

func (c *attemptContext) Deadline() (time.Time, bool) { return c.limit.Deadline(c.Context) }
func (c *attemptContext) Done() <-chan struct{}       { return c.limit.Done(c.Context) }
func (c *attemptContext) Err() error                  { return c.limit.Err(c.Context) }

func (c *attemptContext) Value(key any) any {
	if key == (taskKey{}) {
		return c.task
	}
	if timed := c.limit.Timed(); timed != nil {
		return timed.Value(key) // lets a child context find the one that ends it
	}
	return c.Context.Value(key)
}
