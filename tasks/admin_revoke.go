package tasks

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/paidui/paidui/models/visible"
	"github.com/paidui/paidui/tasks/broker"
)

// MaxReason bounds the reason of a revocation, in bytes.
const MaxReason = 512

// ErrEnded says that the task can't be revoked, because it has ended already. It comes in a *StateError.
var ErrEnded = errors.New("it has ended already")

// StateError says that the state of a task does not allow what was asked. It wraps the reason: ErrEnded, ErrNotReady,
// ErrSucceeded or ErrExpired.
type StateError struct {
	ID    string // the task's
	State State
	Err   error
}

func (e *StateError) Error() string { return fmt.Sprintf("task %s is %s: %v", e.ID, e.State, e.Err) }
func (e *StateError) Unwrap() error { return e.Err }

// RevokeOption says how to revoke.
type RevokeOption func(*revocation)

type revocation struct {
	terminate bool
	reason    string
}

// Terminate ends the attempt of a task that runs, too: its context ends, the task is REVOKED, and a handler that ignores
// its context loses its slot as with a hard time limit.
func Terminate() RevokeOption { return func(r *revocation) { r.terminate = true } }

// Reason is what the task shows as its error, to whoever may see the task: 1 to MaxReason bytes of text in one line. The
// standard is "revoked".
func Reason(text string) RevokeOption { return func(r *revocation) { r.reason = text } }

func newRevocation(opts []RevokeOption) (revocation, error) {
	r := revocation{reason: "revoked"}
	for _, opt := range opts {
		opt(&r)
	}
	if len(r.reason) > MaxReason || !visible.Line(r.reason) {
		return r, optionErrorf("reason", "want 1 to %d bytes of visible text in one line", MaxReason)
	}
	return r, nil
}

// Revoke makes sure that the task does not run any more. One that waits, for a worker, its time or its next attempt, is
// REVOKED at once, also while no worker is up. One that runs stays STARTED: it may finish unless it is to Terminate, and
// whatever else becomes of this attempt, there is no other. A *StateError with ErrEnded says that the task has ended
// before, ErrNotFound that there is none. A task that waits in an outbox only is taken out of it, and is not found then.
// Where several queues hold a task of the chosen id, it is all of them.
func (c *Client) Revoke(ctx context.Context, id string, opts ...RevokeOption) (State, error) {
	how, err := newRevocation(opts)
	if err != nil {
		return "", err
	}
	var done []broker.Revocation
	inRedis := func() error {
		return c.inItsQueues(ctx, id, func(queue string) (found bool, err error) {
			r, err := c.broker.Revoke(ctx, queue, id, how.reason, how.terminate)
			if err == nil && r.Outcome != broker.Absent {
				found, done = true, append(done, r)
				c.noteRevoked(r, how.reason)
			}
			return found, err
		})
	}
	if err = inRedis(); errors.Is(err, ErrNotFound) && ValidID(id) {
		removed, keptErr := c.revokeOutbox(ctx, id, how.reason)
		switch {
		case keptErr != nil:
			return "", keptErr
		case removed:
			return StateRevoked, nil
		case c.outboxOrNil() != nil: // it may have been sent meanwhile
			err = inRedis()
		}
	}
	if err != nil {
		return "", err
	}
	came := func(to broker.RevokeOutcome) bool {
		return slices.ContainsFunc(done, func(r broker.Revocation) bool { return r.Outcome == to })
	}
	switch {
	case came(broker.Running):
		return StateStarted, nil
	case came(broker.Revoked):
		return StateRevoked, nil
	case came(broker.RevokedAlready):
		return "", &StateError{id, StateRevoked, ErrEnded}
	case done[0].Failed:
		return "", &StateError{id, StateFailure, ErrEnded}
	}
	return "", &StateError{id, StateSuccess, ErrEnded}
}

// noteRevoked passes the result of a revocation on to the outbox and the history.
func (c *Client) noteRevoked(r broker.Revocation, reason string) {
	if parseHeaders(r.Task.Headers).outbox {
		c.endOutbox(r.Task.ID)
	}
	if r.Outcome == broker.Revoked {
		c.writeRevoked(r.Task, reason)
	}
}

// inItsQueue tries the queue that an id made here tells, then the one that holds the id: a caller may have chosen any.
func (c *Client) inItsQueue(ctx context.Context, id string, try func(queue string) (found bool, err error)) error {
	return c.inQueues(ctx, id, 1, try)
}

// inItsQueues is inItsQueue, but for all queues that hold the id.
func (c *Client) inItsQueues(ctx context.Context, id string, try func(queue string) (found bool, err error)) error {
	return c.inQueues(ctx, id, math.MaxInt, try)
}

func (c *Client) inQueues(ctx context.Context, id string, most int, try func(queue string) (found bool, err error)) error {
	if !ValidID(id) {
		return notFound(id)
	}
	if queue, ok := queueOf(id); ok {
		found, err := try(queue)
		if found || err != nil {
			return brokerError(ctx, err)
		}
	}
	holders, err := c.broker.Locate(ctx, id)
	if err != nil {
		return brokerError(ctx, err)
	}
	there := false
	for _, queue := range holders[:min(len(holders), most)] {
		found, err := try(queue)
		if err != nil {
			return brokerError(ctx, err)
		}
		there = there || found
	}
	if !there {
		return notFound(id)
	}
	return nil
}

// brokerError is ctx's error when that has ended, and nil for nil. An error of ours stays as it is.
func brokerError(ctx context.Context, err error) error {
	var state *StateError
	switch {
	case err == nil, errors.As(err, &state):
		return err
	case ctx.Err() != nil:
		return context.Cause(ctx)
	}
	return fmt.Errorf("%w: %w", ErrBroker, err)
}

// RevokedTag counts what became of the tasks of a tag.
type RevokedTag struct {
	Revoked int `json:"revoked"` // they are REVOKED, and never run
	Running int `json:"running"` // workers run them still
}

// RevokeTag is Revoke for all tasks with the tag, in all queues; those that have ended stay as they are. Tasks that are
// enqueued meanwhile may be left out. Together with an error it tells how many were revoked so far; the same call again
// takes the rest.
func (c *Client) RevokeTag(ctx context.Context, tag string, opts ...RevokeOption) (RevokedTag, error) {
	if !ValidTag(tag) {
		return RevokedTag{}, optionErrorf("tag", "want 1 to %d characters without white space, commas or control characters", MaxTag)
	}
	how, err := newRevocation(opts)
	if err != nil {
		return RevokedTag{}, err
	}
	var ended func([]*broker.StoredTask)
	if c.history != nil || c.outboxOrNil() != nil {
		ended = func(list []*broker.StoredTask) {
			for _, task := range list {
				c.writeRevoked(task, how.reason)
				if parseHeaders(task.Headers).outbox {
					c.endOutbox(task.ID)
				}
			}
		}
	}
	n, err := c.broker.RevokeTag(ctx, tag, how.reason, how.terminate, ended)
	return RevokedTag(n), brokerError(ctx, err)
}

// writeRevoked notes the end of a task that waited.
func (c *Client) writeRevoked(task *broker.StoredTask, reason string) {
	r, ok := c.historyRecord(task)
	if !ok {
		return
	}
	r.State, r.Error, r.EndedAt = StateRevoked, reason, c.now()
	c.history.Record(r)
}

// historyRecord is what the history is told of every change by hand, if it is told at all.
func (c *Client) historyRecord(task *broker.StoredTask) (r Record, ok bool) {
	if c.history == nil {
		return r, false
	}
	h := parseHeaders(task.Headers)
	return Record{
		ID: task.ID, Task: task.Task, Queue: task.Queue, Run: h.run, Attempt: task.Retried, Retries: task.Retried,
		MaxRetries: max(task.MaxRetry-crashAllowance, 0),
		Tags:       h.tags, RequestID: h.requestID, EnqueuedAt: h.enqueued,
	}, h.history != HistoryOff
}

// Revoke is Client.Revoke for this task.
func (r *Result[R]) Revoke(ctx context.Context, opts ...RevokeOption) (State, error) {
	return r.client.Revoke(ctx, r.id, opts...)
}
