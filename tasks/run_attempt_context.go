package tasks

import (
	"context"
	"sync"
	"time"
)

// attemptContext is the context of one attempt: it knows its task and ends with the attempt's time limit. The timer
// starts when something waits for the end, which quick handlers never do.
type attemptContext struct {
	context.Context // of the delivery
	task            *Task
	deadline        time.Time

	mu     sync.Mutex
	timed  context.Context // nil until something waits
	stop   context.CancelFunc
	revoke context.CancelCauseFunc
	ended  error // after end
}

// begin sets the time limit, counted from now.
func (c *attemptContext) begin(parent context.Context, task *Task, now time.Time, limit time.Duration) {
	c.Context, c.task, c.deadline = parent, task, now.Add(limit)
	if earlier, ok := parent.Deadline(); ok && earlier.Before(c.deadline) {
		c.deadline = earlier
	}
}

// end releases what the context holds. Whatever still waits for it sees it cancelled.
func (c *attemptContext) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.timed == nil {
		c.ended = c.err()
		if c.ended == nil {
			c.ended = context.Canceled
		}
		return
	}
	c.close()
}

// cancel ends the context with a cause.
func (c *attemptContext) cancel(cause error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended == nil {
		c.start()
		c.revoke(cause)
	}
}

// start makes the context that really ends; mu is held.
func (c *attemptContext) start() {
	if c.timed == nil {
		var revocable context.Context
		revocable, c.revoke = context.WithCancelCause(c.Context)
		c.timed, c.stop = context.WithDeadline(revocable, c.deadline)
	}
}

func (c *attemptContext) close() {
	c.stop()
	c.revoke(nil)
}

func (c *attemptContext) Deadline() (time.Time, bool) { return c.deadline, true }

func (c *attemptContext) Done() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.start()
	if c.ended != nil {
		c.close()
	}
	return c.timed.Done()
}

func (c *attemptContext) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended != nil {
		return c.ended
	}
	if c.timed != nil {
		return c.timed.Err()
	}
	return c.err()
}

// err is what a context with a timer would say.
func (c *attemptContext) err() error {
	if err := c.Context.Err(); err != nil {
		return err
	}
	if !time.Now().Before(c.deadline) {
		return context.DeadlineExceeded
	}
	return nil
}

func (c *attemptContext) Value(key any) any {
	if key == (taskKey{}) {
		return c.task
	}
	c.mu.Lock()
	timed := c.timed
	c.mu.Unlock()
	if timed != nil {
		return timed.Value(key) // lets a child context find the one that ends it
	}
	return c.Context.Value(key)
}
