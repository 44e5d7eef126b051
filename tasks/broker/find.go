package broker

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/paidui/paidui/models/redisx"
	"github.com/paidui/paidui/tasks/broker/internal/format"
)

// Ref names one task.
type Ref struct{ Queue, ID string }

// StoredTask is all that Redis holds of one task. Times are zero where they do not apply.
type StoredTask struct {
	Queue, ID, Task   string
	State             string // asynq's: pending, active, scheduled, retry, archived or completed
	Payload           []byte
	Headers           map[string]string
	MaxRetry, Retried int // asynq's
	LastError         string
	LastFailedAt      time.Time // whole seconds
	CompletedAt       time.Time // whole seconds
	NextRunAt         time.Time // of a scheduled task or a retry, whole seconds
	Began             time.Time // when the current or last delivery was fetched, milliseconds
	Retention         time.Duration
	Timeout           time.Duration
	Result            []byte
	Attempts          []byte // JSON objects, one a line
	Progress          []byte // JSON object of the current or last delivery
	Owner             string // token of the current or last delivery
	Worker            string // its worker's name
	Priority          string // high or low; "" is normal
	Tags              []string
	Crashes           int    // deliveries that ended with the death of their worker
	IsRevoked         bool   // it must not run again
	Revoked           string // why
}

// Final reports whether the task will not run, or not run on: it has ended, or waits only to be dropped.
func (r *StoredTask) Final() bool {
	switch r.State {
	case "completed", "archived":
		return true
	case "active":
		return false
	}
	return r.IsRevoked
}

// Find looks a task up in a queue, in one round trip, or in all queues when queue is "", in two. It returns nil when
// there is none.
func (b *Broker) Find(ctx context.Context, queue, id string) (*StoredTask, error) {
	if queue != "" {
		found, err := b.FindMany(ctx, []Ref{{queue, id}})
		if err != nil {
			return nil, err
		}
		return found[0], nil
	}
	queues, err := b.rdb.SMembers(ctx, format.AllQueuesKey).Result()
	if err != nil {
		return nil, fmt.Errorf("list queues: %w", err)
	}
	refs := make([]Ref, len(queues))
	for i, q := range queues {
		refs[i] = Ref{q, id}
	}
	found, err := b.FindMany(ctx, refs)
	if err != nil {
		return nil, err
	}
	var one *StoredTask
	for _, r := range found {
		// Of several queues with the id, the one that it begins with is meant.
		if r != nil && (one == nil || strings.HasPrefix(id, r.Queue+"_")) {
			one = r
		}
	}
	return one, nil
}

// findBatch is how many tasks one script looks up at most.
const findBatch = 200

// FindMany looks tasks up, in one round trip for every 200 of a queue. The records come in the order of refs, nil where
// there is no task.
func (b *Broker) FindMany(ctx context.Context, refs []Ref) ([]*StoredTask, error) {
	records := make([]*StoredTask, len(refs))
	calls, of := b.lookups(refs, findScript, findBatch)
	if len(calls) == 0 {
		return records, nil
	}
	redisx.RunScripts(ctx, b.rdb, calls)
	for i, c := range calls {
		replies, err := c.Cmd.Slice()
		if err != nil {
			return nil, fmt.Errorf("look up tasks: %w", err)
		}
		for j, at := range of[i] {
			if j < len(replies) {
				records[at] = newStoredTask(refs[at], replies[j])
			}
		}
	}
	return records, nil
}

// lookups makes calls of a script with KEYS scheduled, retry, tasks… and ARGV their ids, each for one queue and at most
// size tasks. of has the indexes of their refs.
func (b *Broker) lookups(refs []Ref, script *redisx.Script, size int) (calls []*redisx.Call, of [][]int) {
	last := make(map[string]int, 1) // call by queue
	for i, ref := range refs {
		at, ok := last[ref.Queue]
		if !ok || len(of[at]) == size {
			at = len(calls)
			last[ref.Queue] = at
			calls = append(calls, &redisx.Call{Script: script, Keys: []string{format.ScheduledKey(ref.Queue), format.RetryKey(ref.Queue)}})
			of = append(of, nil)
		}
		c := calls[at]
		c.Keys = append(c.Keys, format.TaskKey(ref.Queue, ref.ID))
		c.Args = append(c.Args, ref.ID)
		of[at] = append(of[at], i)
	}
	return calls, of
}

var findScript = format.Script("find.lua")

// newStoredTask reads the reply of find, nil without a task.
func newStoredTask(ref Ref, reply any) *StoredTask {
	fields, ok := reply.([]any)
	if !ok {
		return nil
	}
	text := func(i int) string {
		if i < len(fields) {
			s, _ := fields[i].(string)
			return s
		}
		return ""
	}
	m := format.Decode([]byte(text(0)))
	r := &StoredTask{
		Queue: ref.Queue, ID: ref.ID, Task: m.Task,
		State:   text(1),
		Payload: m.Payload, Headers: m.Headers,
		MaxRetry: m.MaxRetry, Retried: m.Retried,
		LastError: m.LastError, LastFailedAt: m.LastFailedAt, CompletedAt: m.CompletedAt,
		Retention: m.Retention, Timeout: m.Timeout,
		Result:   bytesOf(text(2)),
		Owner:    text(3),
		Worker:   format.WorkerOf(text(3)),
		Priority: text(5),
		Tags:     strings.Fields(text(6)),
		Revoked:  text(8),
		Attempts: bytesOf(text(9)),
		Progress: bytesOf(text(10)),
	}
	if ms, err := strconv.ParseInt(text(4), 10, 64); err == nil {
		r.Began = time.UnixMilli(ms)
	}
	r.Crashes, _ = strconv.Atoi(text(7)) // 0 without
	r.IsRevoked = len(fields) > 8 && fields[8] != nil
	if due, err := strconv.ParseFloat(text(11), 64); err == nil {
		r.NextRunAt = format.UnixSecond(int64(due))
	}
	return r
}

// bytesOf is nil for nothing.
func bytesOf(s string) []byte {
	if s == "" {
		return nil
	}
	return []byte(s)
}
