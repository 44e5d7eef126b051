package broker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/paidui/paidui/models/redisx"
	"github.com/paidui/paidui/tasks/broker/internal/format"
)

// RevokedPrefix begins the result of a revoked task, which to asynq is one that completed; the reason follows. It is not
// JSON, and so can't be a handler's.
const RevokedPrefix = format.RevokedPrefix

const (
	// revokeBatch bounds the tasks of one script, and so how long Redis is kept from others: about a millisecond.
	revokeBatch = 128
	// shortList is the longest list that a revoked task is looked for in. In a longer one its id stays until it is
	// fetched, and is dropped then.
	shortList = 10_000
	// revokeVisits is about how many elements of such lists one script passes by; it leaves the rest of its tasks to the
	// next one.
	revokeVisits = 20_000
	// minRevokedRetention is how long a revoked task without retention is kept, so that its end can be seen and its id is
	// not taken for a new one.
	minRevokedRetention = time.Hour
)

// RevokeOutcome is what became of a task that was to be revoked.
type RevokeOutcome int

// The outcomes of Revoke.
const (
	Absent         RevokeOutcome = iota // there is no such task
	Revoked                             // it has ended, and never runs
	Running                             // a worker runs it; whatever comes of that, it does not run again
	EndedBefore                         // it had succeeded or failed
	RevokedAlready                      // it had been revoked
)

// Revocation tells what became of a task that was to be revoked.
type Revocation struct {
	Outcome RevokeOutcome
	Failed  bool        // with EndedBefore: it failed
	Task    *StoredTask // as it was just before; nil with Absent
}

// Revoke ends a task that waits, at once and whether a worker is up or not. One that runs is marked: if this run is not
// its last, the next ends as revoked. With terminate its worker is told to end the run. A revoked task frees what it
// holds, its uniqueness and its tags.
func (b *Broker) Revoke(ctx context.Context, queue, id, reason string, terminate bool) (Revocation, error) {
	list, err := b.newRevoker(queue, reason, terminate).revoke(ctx, []string{id})
	if err != nil {
		return Revocation{}, fmt.Errorf("revoke task %s: %w", id, err)
	}
	return list[0], nil
}

// revoker revokes tasks of one queue.
type revoker struct {
	b         *Broker
	queue     string
	reason    string
	terminate bool
	tag       string // the set that the ids were found in, or ""
	command   string
}

func (b *Broker) newRevoker(queue, reason string, terminate bool) *revoker {
	return &revoker{b: b, queue: queue, reason: reason, terminate: terminate, command: newCommand()}
}

// newCommand names one call that changes tasks. They keep the name of the last one, so that a script which is sent again
// because its answer was lost knows what it has done itself.
func newCommand() string { return strconv.FormatUint(rand.Uint64(), 36) }

// revoke takes one round trip to read the tasks, and another to revoke them unless many wait in short lists.
func (r *revoker) revoke(ctx context.Context, ids []string) ([]Revocation, error) {
	refs := make([]Ref, len(ids))
	for i, id := range ids {
		refs[i] = Ref{r.queue, id}
	}
	tasks, err := r.b.FindMany(ctx, refs)
	if err != nil {
		return nil, err
	}
	list := make([]Revocation, len(ids))
	open := make([]int, len(ids)) // indexes of the tasks without an answer
	for i := range ids {
		list[i].Task = tasks[i]
		open[i] = i
	}
	for len(open) > 0 {
		var calls []*redisx.Call
		var of [][]int
		for some := range slices.Chunk(open, revokeBatch) {
			calls, of = append(calls, r.call(some, ids, list)), append(of, some)
		}
		redisx.RunScripts(ctx, r.b.rdb, calls)
		open = nil
		for i, c := range calls {
			words, err := c.Cmd.StringSlice()
			if err != nil {
				return nil, err
			}
			if len(words) == 0 || len(words) > len(of[i]) {
				return nil, fmt.Errorf("%w: %d answers for %d tasks", errRevokeReply, len(words), len(of[i]))
			}
			for n, word := range words {
				if err := list[of[i][n]].read(word); err != nil {
					return nil, err
				}
			}
			open = append(open, of[i][len(words):]...)
		}
	}
	return list, nil
}

func (r *revoker) call(some []int, ids []string, list []Revocation) *redisx.Call {
	now := time.Now()
	completed := protowire.AppendVarint(protowire.AppendTag(nil, format.FieldCompletedAt, protowire.VarintType), uint64(now.Unix()))
	tag, terminate := "", 0
	if r.tag != "" {
		tag = format.TagKey(r.queue, r.tag)
	}
	if r.terminate {
		terminate = 1
	}
	q := r.queue
	c := &redisx.Call{
		Script: revokeScript,
		Keys:   []string{format.PendingKey(q), format.HighKey(q), format.LowKey(q), format.ScheduledKey(q), format.RetryKey(q), format.CompletedKey(q)},
		Args: []any{
			format.OwnPrefix(q), r.reason, RevokedPrefix + r.reason, completed, terminate, q, tag, r.command, r.b.shortList, revokeVisits,
			format.TerminateChannel,
		},
	}
	for _, i := range some {
		until := int64(0)
		if task := list[i].Task; task != nil {
			until = now.Add(cmp.Or(task.Retention, minRevokedRetention)).Unix()
		}
		c.Keys = append(c.Keys, format.TaskKey(q, ids[i]))
		c.Args = append(c.Args, ids[i], until)
	}
	return c
}

var errRevokeReply = errors.New("unexpected reply of the revoke script")

func (r *Revocation) read(word string) error {
	switch word {
	case "absent":
		r.Outcome, r.Task = Absent, nil
	case "revoked":
		r.Outcome = Revoked
	case "active":
		r.Outcome = Running
	case "before":
		r.Outcome = RevokedAlready
	case "completed":
		r.Outcome = EndedBefore
	case "archived":
		r.Outcome, r.Failed = EndedBefore, true
	default:
		return fmt.Errorf("%w: a task is %q", errRevokeReply, word)
	}
	return nil
}

var revokeScript = format.Script("revoke.lua")
