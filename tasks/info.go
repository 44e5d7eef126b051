package tasks

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/hibiken/asynq"
)

// Info looks a task up by its id, or returns ErrNotFound. It costs one or two round trips; an id that a caller chose
// is looked for in every queue.
func (c *Client) Info(ctx context.Context, id string) (*Info, error) {
	if !ValidID(id) {
		return nil, fmt.Errorf("task %q: %w", id, ErrNotFound)
	}
	// An id made here tells its queue. One that a caller chose may be anywhere, even if it looks like one made here.
	if queue, ok := queueOf(id); ok {
		info, err := c.infoIn(ctx, queue, id)
		if !errors.Is(err, ErrNotFound) {
			return info, err
		}
	}
	queue, ok, err := c.broker.Locate(ctx, id)
	switch {
	case err != nil:
		return nil, fmt.Errorf("look up task %s: %w: %w", id, ErrBroker, err)
	case !ok:
		return nil, fmt.Errorf("task %s: %w", id, ErrNotFound)
	}
	return c.infoIn(ctx, queue, id)
}

func (c *Client) infoIn(ctx context.Context, queue, id string) (*Info, error) {
	found, err := c.inspector.GetTaskInfo(queue, id)
	switch {
	case errors.Is(err, asynq.ErrTaskNotFound), errors.Is(err, asynq.ErrQueueNotFound):
		return nil, fmt.Errorf("task %s: %w", id, ErrNotFound)
	case err != nil:
		return nil, fmt.Errorf("look up task %s: %w: %w", id, ErrBroker, err)
	}
	return newInfo(found), nil
}

const (
	firstPoll = 5 * time.Millisecond
	slowPoll  = 250 * time.Millisecond
)

// Wait returns once the task has ended. When ctx ends first it returns the last state seen together with ctx's error;
// the state is nil if there was none.
func (c *Client) Wait(ctx context.Context, id string) (*Info, error) {
	var last *Info
	timer := time.NewTimer(0)
	defer timer.Stop()
	for pause := firstPoll; ; pause = min(pause*2, slowPoll) {
		select {
		case <-ctx.Done():
			return last, ctx.Err()
		case <-timer.C:
		}
		info, err := c.Info(ctx, id)
		if ctx.Err() != nil {
			continue
		}
		if err != nil {
			return last, err
		}
		if last = info; info.State.Final() {
			return info, nil
		}
		timer.Reset(pause)
	}
}

// A revoked task is, to asynq, one that completed; its result says so in a form that is not JSON and so cannot be a
// handler's.
var revokedPrefix = []byte("!REVOKED ")

func newInfo(t *asynq.TaskInfo) *Info {
	h := parseHeaders(t.Headers)
	info := &Info{
		ID:           t.ID,
		Task:         t.Type,
		Queue:        t.Queue,
		Args:         asJSON(t.Payload),
		Retries:      t.Retried,
		MaxRetries:   max(t.MaxRetry-crashAllowance, 0),
		RequestID:    h.requestID,
		EnqueuedAt:   timeOrNil(h.enqueued),
		ETA:          timeOrNil(h.eta),
		Expires:      timeOrNil(h.expires),
		LastFailedAt: timeOrNil(t.LastFailedAt),
		Error:        errorText(t.LastErr),
	}
	switch t.State {
	case asynq.TaskStateActive:
		info.State = StateStarted
	case asynq.TaskStateRetry:
		info.State = StateRetry
		info.NextRunAt = timeOrNil(t.NextProcessAt)
	case asynq.TaskStateScheduled:
		info.State = StatePending
		info.NextRunAt = timeOrNil(t.NextProcessAt)
	case asynq.TaskStateArchived:
		info.State = StateFailure
		info.CompletedAt = timeOrNil(t.LastFailedAt)
	case asynq.TaskStateCompleted:
		info.CompletedAt = timeOrNil(t.CompletedAt)
		if reason, revoked := bytes.CutPrefix(t.Result, revokedPrefix); revoked {
			info.State, info.Error = StateRevoked, string(reason)
		} else {
			info.State, info.Error, info.Result = StateSuccess, "", asJSON(t.Result)
		}
	default:
		info.State = StatePending
	}
	return info
}

// asJSON passes JSON on; whatever another program put there becomes a JSON string.
func asJSON(raw []byte) json.RawMessage {
	if len(raw) == 0 || json.Valid(raw) {
		return raw
	}
	text, err := json.Marshal(string(raw))
	if err != nil { // a string always has a JSON form
		return nil
	}
	return text
}

// errorText is asynq's record of the last error, with asynq's own words in ours.
func errorText(recorded string) string {
	if recorded == asynq.ErrLeaseExpired.Error() {
		return "the worker died, or lost the broker, while it ran the task"
	}
	return recorded
}

func timeOrNil(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}
