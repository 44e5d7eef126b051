package tasks

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/paidui/paidui/tasks/broker"
)

var (
	// ErrSucceeded says that a task can't run again, because it has done what it was for. It comes in a *StateError.
	ErrSucceeded = errors.New("it has succeeded: enqueue a new one")
	// ErrExpired says that a task can't run again, because its expiry has passed. It comes in a *StateError.
	ErrExpired = errors.New("its expiry has passed: enqueue a new one")
	// ErrUnknownQueue says that no task was ever enqueued into the queue, that no living worker serves it, and that it is not
	// paused.
	ErrUnknownQueue = errors.New("no such queue")
)

// Retry lets a task run again that is in FAILURE or REVOKED: it is PENDING behind those that wait already, with all its
// retries and its tags; its attempts stay in sight. One that waits for its time, or for its next attempt, becomes due. A
// *StateError says why not: ErrNotReady (it waits for a worker already, or runs), ErrSucceeded or ErrExpired. ErrNotFound
// says that there is none. A task that was unique is not so any more when it runs again.
func (c *Client) Retry(ctx context.Context, id string) error {
	var outcome broker.RerunOutcome
	var before *broker.StoredTask
	err := c.inItsQueue(ctx, id, func(queue string) (found bool, err error) {
		outcome, err = c.broker.Rerun(ctx, queue, id, func(task *broker.StoredTask, fresh bool) ([]broker.Header, error) {
			before = task
			return c.mayRunAgain(task, fresh)
		})
		return outcome != broker.NoTask, err
	})
	if err != nil {
		return err
	}
	switch outcome {
	case broker.Fresh:
		c.writeRerun(before)
	case broker.Waiting:
		return &StateError{id, StatePending, ErrNotReady}
	case broker.Started:
		return &StateError{id, StateStarted, ErrNotReady}
	case broker.Succeeded:
		return &StateError{id, StateSuccess, ErrSucceeded}
	}
	return nil
}

// mayRunAgain refuses a task that could only expire, and counts the runs of others.
func (c *Client) mayRunAgain(task *broker.StoredTask, fresh bool) ([]broker.Header, error) {
	h := parseHeaders(task.Headers)
	if !h.expires.IsZero() && !c.now().Before(h.expires) {
		return nil, &StateError{task.ID, newInfo(task).State, ErrExpired}
	}
	if !fresh {
		return nil, nil
	}
	return []broker.Header{{Key: headerRun, Value: strconv.Itoa(h.run + 1)}}, nil
}

// writeRerun notes that the task, which is given as it was before, begins anew.
func (c *Client) writeRerun(before *broker.StoredTask) {
	if r, ok := c.rerunRecord(before); ok {
		c.history.Record(r)
	}
}

// rerunRecord is the record of a task that begins anew; false when the history keeps none.
func (c *Client) rerunRecord(before *broker.StoredTask) (Record, bool) {
	r, ok := c.historyRecord(before)
	r.State, r.Run, r.Attempt, r.Retries = StatePending, r.Run+1, 0, 0
	return r, ok
}

// RetryDead is Retry for all tasks of the queue that are in FAILURE as the call begins, but for those that have expired.
// It returns how many run again; together with an error, how many so far. Several calls at once share them.
func (c *Client) RetryDead(ctx context.Context, queue string) (int, error) {
	if err := c.knowsQueue(ctx, queue); err != nil {
		return 0, err
	}
	n, err := c.broker.RerunDead(ctx, queue, c.mayRunAgain, func(list []*broker.StoredTask) {
		for _, task := range list {
			c.writeRerun(task)
		}
	})
	return n, brokerError(ctx, err)
}

func (c *Client) knowsQueue(ctx context.Context, queue string) error {
	known := false
	if ValidQueue(queue) {
		var err error
		if known, err = c.broker.HasQueue(ctx, queue); err != nil {
			return brokerError(ctx, err)
		}
	}
	if !known {
		return fmt.Errorf("queue %q: %w", queue, ErrUnknownQueue)
	}
	return nil
}

// MaxDead bounds a page of dead letters.
const MaxDead = 100

// Dead lists the tasks of a queue that are in FAILURE, the latest first, 1 to MaxDead at a time. cursor is what the page
// before gave as next, "" for the first page; on the last page next is "". An *OptionError refuses a limit out of range
// and a cursor that was not given out. Failures are kept for 90 days, the latest 10,000 a queue.
func (c *Client) Dead(ctx context.Context, queue, cursor string, limit int) (page []*Info, next string, err error) {
	if limit < 1 || limit > MaxDead {
		return nil, "", optionErrorf("limit", "%d is not between 1 and %d", limit, MaxDead)
	}
	if err := c.knowsQueue(ctx, queue); err != nil {
		return nil, "", err
	}
	list, next, err := c.broker.Dead(ctx, queue, cursor, limit)
	switch {
	case errors.Is(err, broker.ErrCursor):
		return nil, "", optionErrorf("cursor", "is not one that a page gave")
	case err != nil:
		return nil, "", brokerError(ctx, err)
	}
	page = make([]*Info, len(list))
	for i, task := range list {
		page[i] = c.info(task)
	}
	return page, next, nil
}

// Forget deletes a task that has ended, with its result and its attempts; its id is free then. ErrNotReady says, in a
// *StateError, that it has not ended, ErrNotFound that there is none. The history keeps its record.
func (c *Client) Forget(ctx context.Context, id string) error {
	var state string
	err := c.inItsQueue(ctx, id, func(queue string) (found bool, err error) {
		state, err = c.broker.Forget(ctx, queue, id)
		return state != "", err
	})
	if err != nil {
		return err
	}
	switch state {
	case "completed", "archived":
		c.endOutbox(id)
		return nil
	case "active":
		return &StateError{id, StateStarted, ErrNotReady}
	case "retry":
		return &StateError{id, StateRetry, ErrNotReady}
	}
	return &StateError{id, StatePending, ErrNotReady}
}

// Retry is Client.Retry for this task.
func (r *Result[R]) Retry(ctx context.Context) error { return r.client.Retry(ctx, r.id) }

// Forget is Client.Forget for this task.
func (r *Result[R]) Forget(ctx context.Context) error { return r.client.Forget(ctx, r.id) }
