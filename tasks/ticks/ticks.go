// Package ticks is what schedulers know together, in the broker's Redis: which schedule is in force, how far the ticks
// of each entry are settled, and what the API shows of it.
//
// # One enqueue a tick
//
// Any number of schedulers compute the same ticks, and each takes these steps for each tick, in order:
//
//  1. Begin records, atomically, that the tick is claimed, unless it is settled, or an older claim is open. It answers
//     the id that the first claimer gave the task; who comes later uses that id too.
//  2. The task is enqueued under this id. The broker refuses the id for as long as a task has it: queued, running, or
//     finished and retained.
//  3. Settle records that all ticks up to this one are settled, and closes the claim.
//
// No tick is lost: a scheduler that dies after 1 or 2 leaves an open claim, nobody gets past it (Begin and Pass answer
// InDoubt), and so another scheduler, or this one when it runs again, repeats 2 and 3.
//
// No tick is enqueued twice: after 3 Begin refuses it. Before 3, the id does, as long as the first task under it is
// retained, which the scheduler sees to: ten minutes at least from the task's end on. A task cannot end before its
// claim was made, so within the retention, counted from the claim, a repetition is harmless; Claim.Age, measured by
// Redis's clock, lets a scheduler give up later ones. What remains is a scheduler that is stopped (SIGSTOP, a suspended
// host) between 1 and 2: it measures the time since Begin before it enqueues, and begins again when that has grown. To
// enqueue a tick twice it would have to be stopped between that measurement and the next system call, and for longer
// than the retention.
//
// # Wrong clocks
//
// What is settled is settled for all, so a scheduler whose clock is fast would silence the others until their clocks
// have caught up. Redis's clock is therefore the limit: Begin and Pass answer Early to a tick that it is more than
// Tolerance away from, and settled ticks that lie beyond that, because Redis's own clock was set back or a version
// without this limit wrote them, are taken back to it. Ticks that were enqueued ahead of their time in that case are
// enqueued again at their time, unless their tasks are still retained. A scheduler whose clock is behind is late; that what
// is settled is ahead of its clock tells nothing against it, for all such comparisons are made with Redis's.
//
// # Which schedule is in force
//
// Schedulers whose files differ would undo each other's entries. Therefore one schedule is in force, the one that was
// announced last (a scheduler announces its schedule when it starts and when its file changes); schedulers with
// another one stand by, and one of them announces its own when nobody with the schedule in force has been heard for
// Silence. An old scheduler with an older file is thus quiet while newer ones run.
package ticks

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// All keys share one cluster slot.
const (
	keyPrefix  = "paidui:{schedules}:"
	keyCurrent = keyPrefix + "current" // hash: the schedule in force (hash), when it was last heard of (seen), the secret; and see current.lua
	keyEntries = keyPrefix + "entries" // hash: an entry's name -> its Entry as JSON
	keyState   = keyPrefix + "entry:"  // + name, hash: rule settled ran task_id next claim claim_id claim_queue claim_at manual_id count_of count
	keyLog     = keyPrefix + "ticks:"  // + name, list: see log.lua
	keyWaiting = keyPrefix + "waits:"  // + name, list: ticks that wait for the last task to end, the oldest first
	keyGone    = keyPrefix + "gone:"   // + name: up to where an entry that is gone was settled
	keyRuns    = keyPrefix + "runs"    // hash: a request to run now -> until when it counts, and the entry
	keyTaken   = keyPrefix + "taken"   // hash: requests that a scheduler is at
	keyAnswer  = keyPrefix + "run:"    // + request: its answer
)

// Status is one entry of the schedule in force, as the API shows it. Times are UTC, in whole seconds.
type Status struct {
	Name       string     `json:"name"`
	Task       string     `json:"task"`
	Queue      string     `json:"queue"`
	Spec       string     `json:"spec"`     // "every 10s", or the cron text
	Timezone   string     `json:"timezone"` // IANA name; of no effect on "every"
	Paused     bool       `json:"paused"`
	NextTick   *time.Time `json:"next_tick"`    // nil when paused; in the past when no scheduler runs
	LastTick   *time.Time `json:"last_tick"`    // the last that was enqueued; nil before the first
	LastTaskID string     `json:"last_task_id"` // of LastTick; "" before the first
	Count      int64      `json:"-"`            // of ticks, for an entry with a maximum
}

// Store reads and writes that knowledge. It is safe for concurrent use, and its errors are Redis's unless a method says
// otherwise.
type Store struct {
	rdb redis.UniversalClient
}

// NewStore makes a store on the broker's Redis, which stays the caller's to close.
func NewStore(rdb redis.UniversalClient) *Store { return &Store{rdb: rdb} }

// List returns the entries of the schedule in force by name; none when no scheduler has run yet.
func (s *Store) List(ctx context.Context) ([]Status, error) {
	entries, err := s.Announced(ctx)
	if err != nil {
		return nil, err
	}
	return s.Statuses(ctx, entries)
}

// Announced returns the entries of the schedule in force by name, without what became of them.
func (s *Store) Announced(ctx context.Context) ([]Entry, error) {
	found, err := s.rdb.HGetAll(ctx, keyEntries).Result()
	if err != nil {
		return nil, fmt.Errorf("list schedules: %w", err)
	}
	list := make([]Entry, 0, len(found))
	for name, encoded := range found {
		var e Entry
		if err := json.Unmarshal([]byte(encoded), &e); err != nil {
			return nil, fmt.Errorf("list schedules: entry %s: %w", name, err)
		}
		e.Name = name
		list = append(list, e)
	}
	slices.SortFunc(list, func(a, b Entry) int { return strings.Compare(a.Name, b.Name) })
	return list, nil
}

// Statuses returns what became of entries, in their order.
func (s *Store) Statuses(ctx context.Context, entries []Entry) ([]Status, error) {
	list := make([]Status, 0, len(entries))
	if len(entries) == 0 {
		return list, nil
	}
	replies := make([]*redis.SliceCmd, 0, len(entries))
	pipe := s.rdb.Pipeline()
	for _, e := range entries {
		list = append(list, Status{Name: e.Name, Task: e.Task, Queue: e.Queue, Spec: e.Spec, Timezone: e.Timezone, Paused: e.Paused})
		replies = append(replies, pipe.HMGet(ctx, keyState+e.Name, "next", "ran", "task_id", "count"))
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, fmt.Errorf("list schedules: %w", err)
	}
	for i, reply := range replies {
		values := reply.Val()
		list[i].NextTick, list[i].LastTick = optionalTime(values[0]), optionalTime(values[1])
		list[i].LastTaskID, _ = values[2].(string)
		list[i].Count, _ = strconv.ParseInt(text(values, 3), 10, 64)
	}
	return list, nil
}

func optionalTime(value any) *time.Time {
	text, _ := value.(string)
	seconds, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return nil
	}
	t := time.Unix(seconds, 0).UTC()
	return &t
}

// unix is a time as the scripts take it; the zero time is "".
func unix(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return strconv.FormatInt(t.Unix(), 10)
}
