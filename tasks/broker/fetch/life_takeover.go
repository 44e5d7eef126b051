package fetch

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/paidui/paidui/tasks/broker"
	"github.com/paidui/paidui/tasks/broker/internal/format"
)

const (
	// takeBatch bounds the tasks of one script that takes over, and takeVisits the list elements that it passes by.
	takeBatch  = 64
	takeVisits = 100_000
	// walkStep is how many active tasks one script looks at: about a millisecond. The next step begins walkOverlap before
	// the end of this one, as tasks end meanwhile and the rest moves up.
	walkStep    = 1000
	walkOverlap = 200
)

// The spread of a task whose worker died again: see spread.
const (
	firstSpread = 16 * time.Second
	maxSpread   = 256 * time.Second
)

// spread is how long a task waits whose worker has died, when that has happened so many times before. All tasks that the
// worker had come here together, and one of them may have killed it: if they ran together again, they would die together
// until all of them pass for poison. So the first time they run at once, and then each at a moment of its own.
func spread(before int) time.Duration {
	if before < 1 {
		return 0
	}
	return rand.N(min(firstSpread<<(2*min(before-1, 8)), maxSpread))
}

// attend does what a beat has found to do, beside the next beats. What one beat leaves out a later one finds again.
func (f *Fetcher) attend(answers []beatAnswer) {
	idle := func(a beatAnswer) bool {
		return !a.unleased && len(a.own)+len(a.lost)+len(a.ended) == 0
	}
	answers = slices.DeleteFunc(slices.Clone(answers), idle)
	if len(answers) == 0 || !f.life.taking.TryLock() {
		return
	}
	f.b.Go(func() {
		defer f.life.taking.Unlock()
		ctx := f.b.Closing()
		for _, a := range answers {
			if err := f.attendQueue(ctx, a); err != nil && ctx.Err() == nil {
				f.logger.WarnContext(ctx, "tasks of dead workers are not all taken over; the next heartbeats go on", "queue", a.queue, "error", err)
			}
		}
	})
}

func (f *Fetcher) attendQueue(ctx context.Context, a beatAnswer) error {
	for _, one := range a.ended {
		if err := f.takeLife(ctx, a.queue, one); err != nil {
			return err
		}
	}
	if len(a.own) > 0 {
		if err := f.takeOwn(ctx, a.queue, a.own); err != nil {
			return err
		}
	}
	if n, err := f.takeOver(ctx, a.queue, a.lost, true); err != nil {
		return err
	} else if n > 0 {
		f.b.CountTakenOver(0, n)
		f.logger.WarnContext(ctx, "took over tasks whose leases had ended", "queue", a.queue, "tasks", n, "first_task_id", a.lost[0].id)
	}
	if a.unleased {
		return f.giveLeases(ctx, a.queue)
	}
	return nil
}

// takeLife takes over what a life that has ended held in a queue.
func (f *Fetcher) takeLife(ctx context.Context, queue, life string) error {
	total := 0
	keys := []string{format.ActiveKey(queue), format.EndedKey(queue)}
	for skip := 0; ; {
		reply, err := heldScript.Run(ctx, f.b.Redis(), keys, life, skip, walkStep, format.TaskKeyPrefix(queue), takeoverTime.Milliseconds()).Slice()
		if err != nil {
			return fmt.Errorf("look for the tasks of %s: %w", life, err)
		}
		if len(reply) != 3 {
			return fmt.Errorf("unexpected reply of the held script: %v", reply)
		}
		seen, _ := reply[0].(int64)
		size, _ := reply[1].(int64)
		list := pairs(format.Texts(reply[2]))
		for some := range slices.Chunk(list, max(1, min(takeBatch, takeVisits/int(max(size, 1))))) {
			n, err := f.takeOver(ctx, queue, some, false)
			if err != nil {
				return err
			}
			total += n
		}
		if seen < walkStep {
			break
		}
		skip = max(skip, skip+walkStep-len(list)-walkOverlap)
	}
	if err := f.b.Redis().ZRem(ctx, format.EndedKey(queue), life).Err(); err != nil {
		return fmt.Errorf("finish the takeover of %s: %w", life, err)
	}
	if total > 0 {
		f.b.CountTakenOver(total, 0)
		f.logger.WarnContext(ctx, "took over the tasks of a worker that died", "died", format.WorkerOf(life), "queue", queue, "tasks", total)
	}
	return nil
}

// takeOwn looks at tasks of this life whose leases have ended: it prolongs those that it has, and frees those that it
// does not know.
func (f *Fetcher) takeOwn(ctx context.Context, queue string, ids []string) error {
	var kept []string
	var unknown []held
	for _, id := range ids {
		owner, err := f.b.Redis().HGet(ctx, format.TaskKey(queue, id), "owner").Result()
		if err != nil {
			return fmt.Errorf("ask who has task %s: %w", id, err)
		}
		t := fetched{key: format.TaskKey(queue, id), token: owner}
		if f.deliveries.has(t) || f.prefetched.has(t) {
			kept = append(kept, id)
		} else {
			unknown = append(unknown, held{id, owner})
		}
	}
	if len(kept) > 0 {
		if err := f.extendLeases(ctx, queue, kept); err != nil {
			return err
		}
	}
	n, err := f.takeOver(ctx, queue, unknown, true)
	f.b.CountTakenOver(0, n)
	return err
}

// releaseForsaken frees the tasks that asynq has given up, because the process stood still for longer than asynq's lease
// while nobody else was there to take them over.
func (f *Fetcher) releaseForsaken(ctx context.Context) {
	byQueue := make(map[string][]held)
	for _, d := range f.deliveries.forsaken() {
		d.lose()
		f.deliveries.drop(d.fetched.key, d)
		byQueue[d.fetched.queue] = append(byQueue[d.fetched.queue], held{d.fetched.id, d.fetched.token})
	}
	for queue, list := range byQueue {
		n, err := f.takeOver(ctx, queue, list, false)
		f.b.CountTakenOver(0, n)
		if err != nil {
			f.logger.WarnContext(ctx, "tasks that this worker has lost by standing still are not put back yet; they are when their leases have ended",
				"queue", queue, "tasks", len(list), "error", err)
		}
	}
}

// takeOver lets active tasks run again, those of them that their owners still have, and counts that their worker died. With
// ended their leases must have ended, too. It returns how many there were.
func (f *Fetcher) takeOver(ctx context.Context, queue string, list []held, ended bool) (taken int, err error) {
	for some := range slices.Chunk(list, takeBatch) {
		refs := make([]broker.Ref, len(some))
		for i, one := range some {
			refs[i] = broker.Ref{Queue: queue, ID: one.id}
		}
		records, err := f.b.FindMany(ctx, refs)
		if err != nil {
			return taken, err
		}
		r := returnBatch{queue: queue, ended: ended, died: true}
		for i, record := range records {
			if record == nil || record.State != "active" || record.Owner != some[i].owner {
				continue
			}
			text, err := unendedRecord(record, "crash", WorkerDied)
			if err != nil {
				return taken, err
			}
			r.add(returned{id: record.ID, token: record.Owner, record: text, delay: spread(record.Crashes)})
		}
		n, err := f.returnTasks(ctx, r)
		if err != nil {
			return taken, fmt.Errorf("take over tasks of queue %s: %w", queue, err)
		}
		taken += n
	}
	return taken, nil
}

// giveLeases gives a lease to each active task that has none, as after a restore or a hand in Redis. One that nobody
// prolongs ends at once, and its task is taken over leaseMargin later, unless a living worker has it.
func (f *Fetcher) giveLeases(ctx context.Context, queue string) error {
	keys := []string{format.ActiveKey(queue), format.LeaseKey(queue), format.LivesKey(queue)}
	given := int64(0)
	for skip := 0; ; {
		reply, err := giveLeaseScript.Run(ctx, f.b.Redis(), keys, skip, walkStep, format.TaskKeyPrefix(queue), int(format.LeaseTime.Seconds())).Int64Slice()
		if err != nil {
			return fmt.Errorf("look for tasks without a lease: %w", err)
		}
		if len(reply) != 3 {
			return fmt.Errorf("unexpected reply of the lease script: %v", reply)
		}
		given += reply[1]
		if reply[0] < walkStep {
			break
		}
		skip = max(skip, skip+walkStep-int(reply[2])-walkOverlap)
	}
	if given > 0 {
		f.logger.WarnContext(ctx, "active tasks had no lease and have one now", "queue", queue, "tasks", given)
	}
	return nil
}

var (
	heldScript      = format.Script("fetch/life_held.lua")
	giveLeaseScript = format.Script("fetch/lease_give.lua")
)
