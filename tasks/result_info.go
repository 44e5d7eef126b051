package tasks

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/hibiken/asynq"

	"github.com/paidui/paidui/tasks/broker"
	"github.com/paidui/paidui/tasks/broker/fetch"
)

// Info looks a task up by its id, or returns ErrNotFound. An id that was made here costs one round trip; one that a
// caller chose is looked for in every queue, which takes two.
func (c *Client) Info(ctx context.Context, id string) (*Info, error) {
	found, _, err := c.lookUp(ctx, id)
	if err != nil {
		return nil, err
	}
	return c.info(found), nil
}

// lookUp finds what Redis or the outbox holds of a task, or returns ErrNotFound.
func (c *Client) lookUp(ctx context.Context, id string) (found *broker.StoredTask, inOutbox bool, err error) {
	if !ValidID(id) {
		return nil, false, notFound(id)
	}
	// An id made here tells its queue. One that a caller chose may be anywhere, even if it looks like one made here.
	if queue, ok := queueOf(id); ok {
		found, err := c.broker.Find(ctx, queue, id)
		if err != nil {
			return nil, false, lookupError(ctx, id, err)
		}
		if found != nil {
			return found, false, nil
		}
	}
	found, err = c.broker.Find(ctx, "", id)
	if err == nil && found == nil {
		found, inOutbox, err = c.findOutbox(ctx, id)
	}
	if err != nil {
		return nil, false, lookupError(ctx, id, err)
	}
	if found == nil {
		return nil, false, notFound(id)
	}
	return found, inOutbox, nil
}

// Infos looks up many tasks in few round trips. They come in the order of refs, nil for what is no task. What is encrypted
// stays so: see Decrypt.
func (c *Client) Infos(ctx context.Context, refs []broker.Ref) ([]*Info, error) {
	found, err := c.broker.FindMany(ctx, refs)
	if err != nil {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		return nil, lookupError(ctx, "in a batch", err)
	}
	infos := make([]*Info, len(found))
	for i, r := range found {
		if r != nil {
			infos[i] = newInfo(r)
		}
	}
	return infos, nil
}

func notFound(id string) error {
	if !ValidID(id) {
		return fmt.Errorf("task %q: %w", id, ErrNotFound)
	}
	return fmt.Errorf("task %s: %w", id, ErrNotFound)
}

// lookupError is ctx's error when that has ended.
func lookupError(ctx context.Context, id string, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return fmt.Errorf("look up task %s: %w: %w", id, ErrBroker, err)
}

// A revoked task is, to asynq, one that completed; its result says so in a form that is not JSON and so cannot be a
// handler's.
var revokedPrefix = []byte("!REVOKED ")

// newInfo is what a record tells. What is encrypted stays so.
func newInfo(r *broker.StoredTask) *Info {
	h := parseHeaders(r.Headers)
	info := &Info{
		ID:           r.ID,
		Task:         r.Task,
		Queue:        r.Queue,
		Args:         asJSON(r.Payload),
		Error:        errorText(r.LastError),
		Progress:     reported(r.Progress),
		Retries:      r.Retried,
		MaxRetries:   max(r.MaxRetry-crashAllowance, 0),
		Crashes:      r.Crashes,
		Attempts:     attempts(r.Attempts),
		Priority:     r.Priority,
		Tags:         r.Tags,
		Headers:      userHeaders(h.user),
		Worker:       r.Worker,
		RequestID:    h.requestID,
		History:      h.history,
		EnqueuedAt:   timeOrNil(h.enqueued),
		ETA:          timeOrNil(h.eta),
		Expires:      timeOrNil(h.expires),
		StartedAt:    timeOrNil(r.Began),
		NextRunAt:    timeOrNil(r.NextRunAt),
		LastFailedAt: timeOrNil(r.LastFailedAt),
	}
	if !h.encrypted {
		info.Args = escaped(info.Args)
	}
	if isSealed(r.Progress) {
		info.progress, info.Progress = r.Progress, nil
	}
	if info.Priority == "" {
		info.Priority = "normal"
	}
	info.setState(r)
	return info
}

func (info *Info) setState(r *broker.StoredTask) {
	switch r.State {
	case "active":
		info.State = StateStarted
		if info.Progress != nil || info.progress != nil {
			info.State = StateProgress
		}
	case "completed":
		info.CompletedAt = info.ended(r.CompletedAt)
		if reason, revoked := bytes.CutPrefix(r.Result, revokedPrefix); revoked {
			info.State, info.Error = StateRevoked, string(reason)
		} else {
			info.State, info.Error, info.Result = StateSuccess, "", asJSON(r.Result)
		}
	case "archived":
		info.State = StateFailure
		info.CompletedAt = info.ended(r.LastFailedAt)
	case "retry":
		info.State = StateRetry
	default:
		info.State = StatePending
	}
	if r.IsRevoked && r.State != "active" && !info.State.Final() { // its next delivery ends it without running
		info.State, info.Error, info.NextRunAt = StateRevoked, r.Revoked, nil
	}
}

// ended is the millisecond of the end, where the last attempt tells it: asynq keeps whole seconds.
func (info *Info) ended(second time.Time) *time.Time {
	if n := len(info.Attempts); n > 0 {
		if last := info.Attempts[n-1].EndedAt; !second.IsZero() && last.Sub(second).Abs() < 2*time.Second {
			return timeOrNil(last)
		}
	}
	return timeOrNil(second)
}

func reported(raw []byte) *Reported {
	var p Reported
	if len(raw) == 0 || json.Unmarshal(raw, &p) != nil {
		return nil
	}
	return &p
}

// attempts reads JSON objects, one a line, and leaves out what makes no sense.
func attempts(raw []byte) []Attempt {
	list := []Attempt{} // which JSON shows as a list
	for line := range bytes.SplitSeq(raw, []byte("\n")) {
		var a Attempt
		if len(line) > 0 && json.Unmarshal(line, &a) == nil {
			list = append(list, a)
		}
	}
	return list
}

// userHeaders is nil without any.
func userHeaders(list []broker.Header) map[string]string {
	if len(list) == 0 {
		return nil
	}
	m := make(map[string]string, len(list))
	for _, h := range list {
		m[h.Key] = h.Value
	}
	return m
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
		return fetch.WorkerDied
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
