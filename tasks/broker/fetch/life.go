package fetch

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/paidui/paidui/models/redisx"
	"github.com/paidui/paidui/tasks/broker/internal/format"
)

const (
	// beatsPerLife is how often a worker beats within that time.
	beatsPerLife = 3
	// recheckBatch bounds the tasks of one round trip.
	recheckBatch = 500
)

// life is the existence of one fetcher in Redis, from its first beat to its last. Its name begins every token of the
// fetcher, so that each task in Redis tells which life holds it. A worker that starts again under the same name has
// another life.
//
// Each of the worker's queues has two sorted sets: the lives, by the time of their last beat, and the ended lives whose
// tasks are not all taken over yet. All times are Redis's, so that clocks of hosts don't matter. A life without a beat for
// longer than the limit is moved from the first set to the second by whoever beats next; see life_takeover.go. While it is in
// the second set it can't come back, and a worker whose life is not in the first set gets no tasks.
//
// When nobody has beaten for half the limit it was Redis that was away, or the network to it: every life then has its full
// time again. As workers beat three times within the limit, no outage makes a living worker seem dead.
type life struct {
	name  string
	limit time.Duration

	beating   sync.Mutex   // one beat at a time
	begun     bool         // Redis has taken a beat
	confirmed atomic.Value // time.Time when the last beat was sent after which the fetcher knew what it held

	taking sync.Mutex // one takeover at a time

	end  context.CancelFunc // ends beats; nil before start
	over chan struct{}      // closed when beats has ended
}

// errLifeEnded says that the others hold the life for ended.
var errLifeEnded = errors.New("the worker was silent for too long: others take over its tasks")

// alive tells whether the tasks that the fetcher holds are certainly its own.
func (l *life) alive() bool {
	sure, ok := l.confirmed.Load().(time.Time)
	if !ok {
		return false
	}
	now := time.Now()
	// The monotonic clock stands while the machine sleeps, and the other one may be set.
	return now.Sub(sure) <= l.limit && now.Round(0).Sub(sure.Round(0)) <= l.limit
}

// doubt makes the fetcher ask before it begins another task.
func (l *life) doubt() { l.confirmed.Store(time.Time{}) }

// beats beats until ctx ends.
func (f *Fetcher) beats(ctx context.Context) {
	defer close(f.life.over)
	ticker := time.NewTicker(f.life.limit / beatsPerLife)
	defer ticker.Stop()
	failing := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		err := f.beat(ctx)
		if err != nil && !failing && ctx.Err() == nil {
			f.logger.WarnContext(ctx, "no heartbeat to the broker: without one for long, other workers take over what this one holds",
				"worker", f.cfg.Name, "limit", f.life.limit.String(), "error", err)
		}
		failing = err != nil
		f.releaseForsaken(ctx)
	}
}

// Beat is one heartbeat, and returns when what it found to do is done. A worker that fetches beats by itself.
func (f *Fetcher) Beat(ctx context.Context) error {
	err := f.beat(ctx)
	f.life.taking.Lock()
	defer f.life.taking.Unlock()
	return err
}

// beat prolongs the life, learns which tasks are to be taken over and, if the life had ended for Redis, which of its own
// are lost.
func (f *Fetcher) beat(ctx context.Context) error {
	f.life.beating.Lock()
	defer f.life.beating.Unlock()
	ctx, cancel := context.WithTimeout(ctx, f.life.limit/2)
	defer cancel()
	sent := time.Now()
	answers, err := f.sendBeat(ctx)
	if err != nil {
		return fmt.Errorf("heartbeat: %w", err)
	}
	f.attend(answers)
	known := true
	for _, a := range answers {
		switch a.standing {
		case standingEnded:
			f.life.doubt()
			return errLifeEnded
		case standingNew:
			known = known && f.control.joins(a.queue)
		}
	}
	if f.life.begun && !known {
		if err := f.recheck(ctx); err != nil {
			return err
		}
	}
	f.life.begun = true
	f.control.joined(answers)
	f.life.confirmed.Store(sent)
	f.record(ctx, known)
	return f.leaveQueues(ctx)
}

// recheck finds which tasks the fetcher has lost. Those that wait here for a slot it gives back.
func (f *Fetcher) recheck(ctx context.Context) error {
	f.returnBatches(f.prefetched.clear())
	lost := 0
	for some := range slices.Chunk(f.deliveries.olderThan(0), recheckBatch) {
		pipe := f.b.Redis().Pipeline()
		held := make([]*redis.SliceCmd, len(some))
		for i, d := range some {
			held[i] = pipe.HMGet(ctx, d.fetched.key, "owner", "state")
		}
		if _, err := pipe.Exec(ctx); err != nil {
			return fmt.Errorf("ask who has the tasks of this worker: %w", err)
		}
		for i, d := range some {
			owner, state := held[i].Val()[0], held[i].Val()[1]
			gone := owner == nil && state == nil // with the data of Redis: nobody else has it
			if !gone && (owner != d.fetched.token || state != "active") {
				d.lose()
				lost++
			}
		}
	}
	if lost > 0 {
		f.logger.WarnContext(ctx, "other workers have taken over tasks of this one, which was silent for too long: their runs here end",
			"worker", f.cfg.Name, "tasks", lost)
	}
	return nil
}

// sendLeave ends the life. What it still holds others take over at once.
func (f *Fetcher) sendLeave(ctx context.Context) error {
	// A new connection may have taken the place of one that was lost together with tasks.
	left := format.Flag(f.deliveries.len() > 0 || f.prefetched.unreturned.Load() || f.reclaimed != f.b.Connects())
	var calls []*redisx.Call
	for _, queues := range f.b.Together(f.control.bound()) {
		c := &redisx.Call{Script: leaveScript, Args: []any{f.life.name, left}}
		for _, q := range queues {
			c.Keys = append(c.Keys, format.LivesKey(q), format.EndedKey(q))
		}
		calls = append(calls, c)
	}
	var also []func(redis.Pipeliner)
	if f.cfg.Tasks != nil {
		also = append(also, func(p redis.Pipeliner) {
			p.Del(ctx, format.WorkerKey(f.life.name))
			p.Del(ctx, format.CommandsKey(f.life.name))
		})
	}
	redisx.RunScripts(ctx, f.b.Redis(), calls, also...)
	for _, c := range calls {
		if err := c.Cmd.Err(); err != nil {
			return fmt.Errorf("end the life of worker %s: %w", f.cfg.Name, err)
		}
	}
	return nil
}
