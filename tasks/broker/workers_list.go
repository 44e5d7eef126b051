package broker

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/paidui/paidui/models/redisx"
	"github.com/paidui/paidui/tasks/broker/internal/format"
)

// WorkerLife is a worker that lives: the process that runs, not its name, which the next one may have, too.
type WorkerLife struct {
	ID       string // as it is in tokens: its name, a bar and a word that no other has
	Name     string
	Silent   time.Duration // since its last beat
	BeatsIn  []string      // the queues in which it beats
	Recorded bool          // it has a record: a worker without one is of an early build, or of another program
	format.WorkerRecord
}

// Holds tells whether the token of a delivery, a StoredTask's Owner, is this worker's.
func (w *WorkerLife) Holds(token string) bool { return strings.HasPrefix(token, w.ID+".") }

// LivingWorkers lists the workers that have beaten lately in any queue, by name and ID, without their records. The time of
// Redis counts.
func (b *Broker) LivingWorkers(ctx context.Context) ([]WorkerLife, error) {
	pipe := b.rdb.Pipeline()
	served, known := pipe.SMembers(ctx, format.WorkerQueuesKey), pipe.SMembers(ctx, format.AllQueuesKey)
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, fmt.Errorf("list the queues that have workers: %w", err)
	}
	queues := append(served.Val(), known.Val()...)
	slices.Sort(queues)
	return b.workersOf(ctx, slices.Compact(queues))
}

// WorkersOf lists the workers that have beaten lately in the queue, by name and ID, with their records.
func (b *Broker) WorkersOf(ctx context.Context, queue string) ([]WorkerLife, error) {
	lives, err := b.workersOf(ctx, []string{queue})
	if err != nil {
		return nil, err
	}
	return lives, b.ReadWorkers(ctx, lives)
}

// seenBatch is how many queues one script looks at.
const seenBatch = 500

func (b *Broker) workersOf(ctx context.Context, queues []string) ([]WorkerLife, error) {
	size := seenBatch
	if b.cluster {
		size = 1
	}
	groups := slices.Collect(slices.Chunk(queues, size))
	if len(groups) == 0 {
		return nil, nil
	}
	calls := make([]*redisx.Call, len(groups))
	for i, group := range groups {
		calls[i] = &redisx.Call{Script: seenScript, Args: []any{presence.Milliseconds()}}
		for _, q := range group {
			calls[i].Keys = append(calls[i].Keys, format.LivesKey(q))
		}
	}
	redisx.RunScripts(ctx, b.rdb, calls)
	found := make(map[string]*WorkerLife)
	for i, call := range calls {
		reply, err := call.Cmd.Slice()
		if err != nil {
			return nil, fmt.Errorf("list the workers: %w", err)
		}
		if len(reply) != len(groups[i]) {
			return nil, fmt.Errorf("unexpected reply of the script that lists workers: %v", reply)
		}
		for n, q := range groups[i] {
			pairs := format.Texts(reply[n])
			for at := 0; at+1 < len(pairs); at += 2 {
				found[pairs[at]] = found[pairs[at]].seen(pairs[at], pairs[at+1], q)
			}
		}
	}
	list := make([]WorkerLife, 0, len(found))
	for _, w := range found {
		list = append(list, *w)
	}
	slices.SortFunc(list, func(a, b WorkerLife) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), strings.Compare(a.ID, b.ID))
	})
	return list, nil
}

// seen adds that the life has beaten in a queue, so many ms ago.
func (w *WorkerLife) seen(life, ago, queue string) *WorkerLife {
	ms, err := time.ParseDuration(ago + "ms")
	if err != nil { // the script wrote it
		ms = 0
	}
	ms = max(ms, 0)
	if w == nil {
		w = &WorkerLife{ID: life, Name: format.WorkerOf(life), Silent: ms}
	}
	w.Silent = min(w.Silent, ms)
	w.BeatsIn = append(w.BeatsIn, queue)
	return w
}

// ReadWorkers reads the records of lives into them.
func (b *Broker) ReadWorkers(ctx context.Context, lives []WorkerLife) error {
	if len(lives) == 0 {
		return nil
	}
	pipe := b.rdb.Pipeline()
	got := make([]*redis.StringCmd, len(lives))
	for i := range lives {
		got[i] = pipe.Get(ctx, format.WorkerKey(lives[i].ID))
	}
	if _, err := pipe.Exec(ctx); err != nil && !errors.Is(err, redis.Nil) {
		return fmt.Errorf("read the records of workers: %w", err)
	}
	for i := range lives {
		text, err := got[i].Bytes()
		if err != nil {
			continue
		}
		if err := json.Unmarshal(text, &lives[i].WorkerRecord); err != nil {
			b.logger.DebugContext(ctx, "the record of a worker can't be read", "worker", lives[i].Name, "error", err)
			continue
		}
		lives[i].Recorded = true
	}
	for i := range lives {
		lives[i].WorkerRecord.Name = lives[i].Name
	}
	return nil
}

var seenScript = format.Script("workers_seen.lua")
