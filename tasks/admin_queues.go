package tasks

import (
	"context"
	"encoding/base64"
	"maps"
	"slices"
	"time"

	"github.com/paidui/paidui/models/visible"
	"github.com/paidui/paidui/tasks/broker"
)

const (
	// MaxQueues bounds a page of queues.
	MaxQueues = 1000
	// MaxActor bounds the name of who pauses a queue, in bytes.
	MaxActor = 128
)

// QueueInfo is how a queue stands. Its numbers are of one moment, and cost the same whatever the queue's length.
type QueueInfo struct {
	Name          string            `json:"name"`
	Paused        *QueuePause       `json:"paused"`      // nil unless it is paused
	Pending       int               `json:"pending"`     // tasks that wait for a worker
	ByPriority    PendingByPriority `json:"by_priority"` // of these
	Active        int               `json:"active"`      // that run
	Scheduled     int               `json:"scheduled"`   // that wait for their time
	Retry         int               `json:"retry"`       // that wait for their next attempt
	Dead          int               `json:"dead"`        // in FAILURE, as Dead lists them
	Completed     int               `json:"completed"`   // that have ended otherwise and are kept for their results
	OldestWait    float64           `json:"oldest_wait"` // for how long the oldest task waits that is due, in seconds; 0 without any
	InLastMinute  int               `json:"in_last_minute"`
	OutLastMinute int               `json:"out_last_minute"` // tasks that a worker ended
	Workers       int               `json:"workers"`         // that live, and take from it
	Memory        *int64            `json:"memory"`          // bytes in Redis, estimated by a few tasks; nil where Redis does not tell
	MaxLength     int               `json:"max_length"`      // as the client was given it; 0 is no bound
}

// PendingByPriority counts tasks that wait for a worker.
type PendingByPriority struct {
	High   int `json:"high"`
	Normal int `json:"normal"`
	Low    int `json:"low"`
}

// QueuePause is since when a queue is paused and by whom.
type QueuePause struct {
	Since time.Time `json:"since,omitzero"` // whole seconds; zero where another program's mark does not say
	By    string    `json:"by,omitempty"`   // "" where another program, such as asynq's tools, has paused it
}

// Queues lists the queues that a task was ever enqueued into, a living worker serves, or are paused, by their names, 1 to MaxQueues at a time. cursor is what the
// page before gave as next, "" for the first page; on the last page next is "". An *OptionError refuses a limit out of range
// and a cursor that was not given out.
func (c *Client) Queues(ctx context.Context, cursor string, limit int) (page []QueueInfo, next string, err error) {
	if limit < 1 || limit > MaxQueues {
		return nil, "", optionErrorf("limit", "%d is not between 1 and %d", limit, MaxQueues)
	}
	after, err := base64.RawURLEncoding.DecodeString(cursor)
	if err != nil {
		return nil, "", optionErrorf("cursor", "is not one that a page gave")
	}
	names, err := c.broker.QueueNames(ctx)
	if err != nil {
		return nil, "", brokerError(ctx, err)
	}
	if cursor != "" {
		first, found := slices.BinarySearch(names, string(after))
		if found {
			first++
		}
		names = names[first:]
	}
	if len(names) > limit {
		names = names[:limit]
		next = base64.RawURLEncoding.EncodeToString([]byte(names[limit-1]))
	}
	list, err := c.broker.QueueStats(ctx, names)
	if err != nil {
		return nil, "", brokerError(ctx, err)
	}
	page = make([]QueueInfo, len(list))
	for i, s := range list {
		page[i] = c.queueInfo(s)
	}
	return page, next, nil
}

// Queue is how one queue stands. ErrUnknownQueue says that there is none.
func (c *Client) Queue(ctx context.Context, name string) (QueueInfo, error) {
	if err := c.knowsQueue(ctx, name); err != nil {
		return QueueInfo{}, err
	}
	list, err := c.broker.QueueStats(ctx, []string{name})
	if err != nil {
		return QueueInfo{}, brokerError(ctx, err)
	}
	return c.queueInfo(list[0]), nil
}

func (c *Client) queueInfo(s broker.QueueStats) QueueInfo {
	q := QueueInfo{
		Name: s.Name, Pending: s.High + s.Normal + s.Low, ByPriority: PendingByPriority{High: s.High, Normal: s.Normal, Low: s.Low},
		Active: s.Active, Scheduled: s.Scheduled, Retry: s.Retry, Dead: s.Dead, Completed: s.Completed,
		OldestWait: s.Oldest.Seconds(), InLastMinute: s.InLastMinute, OutLastMinute: s.OutLastMinute, Workers: s.Workers,
		MaxLength: c.maxLength[s.Name],
	}
	if s.Paused != nil {
		q.Paused = &QueuePause{Since: s.Paused.Since, By: s.Paused.By}
	}
	if s.Memory >= 0 {
		q.Memory = &s.Memory
	}
	return q
}

// PauseQueue keeps workers from beginning tasks of the queue, within a second and until ResumeQueue. Tasks that run go on;
// what comes, or becomes due, waits. It sets asynq's own mark, so asynq's tools show it and may end it. by is the name of who
// pauses it, 1 to MaxActor bytes of visible text in one line. With first false the queue was paused before, and the answer is
// that earlier pause. ErrUnknownQueue says that there is none.
func (c *Client) PauseQueue(ctx context.Context, name, by string) (pause QueuePause, first bool, err error) {
	if len(by) > MaxActor || !visible.Line(by) {
		return QueuePause{}, false, optionErrorf("by", "want 1 to %d bytes of visible text in one line", MaxActor)
	}
	if err := c.knowsQueue(ctx, name); err != nil {
		return QueuePause{}, false, err
	}
	p, first, err := c.broker.Pause(ctx, name, by)
	if err != nil {
		return QueuePause{}, false, brokerError(ctx, err)
	}
	return QueuePause{Since: p.Since, By: p.By}, first, nil
}

// ResumeQueue has workers begin tasks of the queue again, whoever has paused it. It tells whether it was paused.
// ErrUnknownQueue says that there is none.
func (c *Client) ResumeQueue(ctx context.Context, name string) (paused bool, err error) {
	if err := c.knowsQueue(ctx, name); err != nil {
		return false, err
	}
	paused, err = c.broker.Resume(ctx, name)
	return paused, brokerError(ctx, err)
}

// PurgeState is a state of tasks that can be purged. Those that run can't.
type PurgeState string

// The states that can be purged. Tasks of the first three end as REVOKED; those of the others have ended, and are deleted with
// their results as Forget does.
const (
	PurgePending   PurgeState = "pending"   // that wait for a worker
	PurgeScheduled PurgeState = "scheduled" // that wait for their time
	PurgeRetry     PurgeState = "retry"     // that wait for their next attempt
	PurgeDead      PurgeState = "dead"      // in FAILURE
	PurgeCompleted PurgeState = "completed" // that are kept for their results: in SUCCESS or REVOKED
)

// PurgeStates are all states that can be purged.
func PurgeStates() []PurgeState {
	return []PurgeState{PurgePending, PurgeScheduled, PurgeRetry, PurgeDead, PurgeCompleted}
}

// stored is asynq's word for the state.
func (s PurgeState) stored() string {
	if s == PurgeDead {
		return "archived"
	}
	return string(s)
}

func purgeState(stored string) PurgeState {
	if stored == "archived" {
		return PurgeDead
	}
	return PurgeState(stored)
}

// PurgeOptions say what to purge.
type PurgeOptions struct {
	States []PurgeState // at least one
	DryRun bool         // only count
	Reason string       // what the revoked tasks show as their error, as Reason; "" is "purged"
	// Progress is told after each batch, of some hundred tasks, how far the purge is. Its error ends the purge, which returns
	// it as it is. Nil is not told.
	Progress func(Purged) error
}

// Purged is how far a purge is. Every state that is to be purged is in both counts.
type Purged struct {
	Purged map[PurgeState]int `json:"purged"` // tasks that it has taken
	Left   map[PurgeState]int `json:"left"`   // of those that were there as it began, about
}

// More tells whether there is something left.
func (p Purged) More() bool {
	for _, n := range p.Left {
		if n > 0 {
			return true
		}
	}
	return false
}

// PurgeQueue takes the tasks of the states off the queue that are there as it begins, in batches that keep Redis from others
// for about two milliseconds. A task that waits ends as REVOKED: it is known as that for an hour, frees its uniqueness and
// its tags, and whoever waits for it learns it; of one that is durable the outbox is told. What has ended is deleted, and the
// history keeps how it ended. Together with an error, also of Progress or ctx, it tells how far it is: the same call again
// takes the rest. An *OptionError refuses the options, ErrUnknownQueue a queue that there is not.
func (c *Client) PurgeQueue(ctx context.Context, name string, opt PurgeOptions) (Purged, error) {
	states, err := opt.check()
	if err != nil {
		return Purged{}, err
	}
	if err := c.knowsQueue(ctx, name); err != nil {
		return Purged{}, err
	}
	p, err := c.countPurge(ctx, name, opt.States)
	if err != nil || opt.DryRun {
		return p, err
	}
	var refused error
	err = c.broker.Purge(ctx, name, opt.Reason, states, func(state string, taken int, list []*broker.StoredTask) error {
		c.notePurged(state, list, opt.Reason)
		s := purgeState(state)
		p.Purged[s] += len(list)
		p.Left[s] = max(p.Left[s]-taken, 0)
		if opt.Progress != nil {
			refused = opt.Progress(Purged{maps.Clone(p.Purged), maps.Clone(p.Left)})
		}
		return refused
	})
	switch {
	case refused != nil:
		return p, refused
	case err != nil:
		return p, brokerError(ctx, err)
	}
	for s := range p.Left { // workers have taken what is not there any more
		p.Left[s] = 0
	}
	return p, nil
}

// check completes the options, and returns asynq's words for the states.
func (o *PurgeOptions) check() (map[string]bool, error) {
	if len(o.States) == 0 {
		return nil, optionErrorf("states", "want at least one of %v", PurgeStates())
	}
	states := make(map[string]bool)
	for _, s := range o.States {
		switch {
		case s == "active":
			return nil, optionErrorf("states", "tasks that run are not purged: revoke them, with terminate")
		case !slices.Contains(PurgeStates(), s):
			return nil, optionErrorf("states", "%.40q is none of %v", s, PurgeStates())
		}
		states[s.stored()] = true
	}
	if o.Reason == "" {
		o.Reason = "purged"
	}
	if len(o.Reason) > MaxReason || !visible.Line(o.Reason) {
		return nil, optionErrorf("reason", "want 1 to %d bytes of visible text in one line", MaxReason)
	}
	return states, nil
}

// countPurge is a purge that has not begun.
func (c *Client) countPurge(ctx context.Context, name string, states []PurgeState) (Purged, error) {
	p := Purged{Purged: make(map[PurgeState]int), Left: make(map[PurgeState]int)}
	list, err := c.broker.QueueStats(ctx, []string{name})
	if err != nil {
		return p, brokerError(ctx, err)
	}
	q := c.queueInfo(list[0])
	counts := map[PurgeState]int{
		PurgePending: q.Pending, PurgeScheduled: q.Scheduled, PurgeRetry: q.Retry, PurgeDead: q.Dead, PurgeCompleted: q.Completed,
	}
	for _, s := range states {
		p.Purged[s], p.Left[s] = 0, counts[s]
	}
	return p, nil
}

// notePurged passes the end of tasks on to the history and to the outbox.
func (c *Client) notePurged(state string, list []*broker.StoredTask, reason string) {
	if c.history == nil && c.outboxOrNil() == nil {
		return
	}
	waited := state != "archived" && state != "completed"
	for _, task := range list {
		if waited {
			c.writeRevoked(task, reason)
		}
		if parseHeaders(task.Headers).outbox {
			c.endOutbox(task.ID)
		}
	}
}
