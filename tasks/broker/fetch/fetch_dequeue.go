package fetch

import (
	"context"
	"errors"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	// callLimit is how long one dequeue waits. asynq counts a task's lease from the beginning of the call that brings it, so
	// that after a longer one there would be none left.
	callLimit = 5 * time.Second
	// aheadPatience is how long tasks that were fetched ahead of a free slot wait for one.
	aheadPatience = 100 * time.Millisecond
	// unasked is for how long after its fetch a task is begun without a question whether its queue has been paused since: so
	// a pause takes effect within a second on what was fetched before it.
	unasked = 500 * time.Millisecond
	// The pauses after a fetch that failed; asynq itself would try again at once.
	firstFetchPause = 50 * time.Millisecond
	maxFetchPause   = time.Second
)

// dequeue answers asynq, which asks for each of its queues in turn, from one goroutine. It waits while all are empty, but
// no longer than callLimit; what comes later is for the next call.
func (f *Fetcher) dequeue(ctx context.Context, queue string) *redis.Cmd {
	f.start()
	begun := time.Now()
	if !f.awaitSlot(begun) {
		return nothing(ctx)
	}
	for f.prefetched.len() == 0 || !f.life.alive() {
		if f.stopped() || f.prefetched.isHeld() || time.Since(begun) > callLimit {
			return nothing(ctx)
		}
		if !f.life.alive() {
			if err := f.beat(ctx); err != nil {
				f.rest()
				return failed(ctx, err)
			}
			continue
		}
		if f.prefetched.ahead != nil {
			<-f.prefetched.ahead
			f.prefetched.ahead = nil
			continue
		}
		got, err := f.fetchNow(ctx)
		if err == nil {
			err = f.reclaim(ctx)
		}
		if errors.Is(err, errNoLife) {
			continue
		}
		if err != nil {
			f.rest()
			return failed(ctx, err)
		}
		f.prefetched.pause = 0
		if !got {
			f.sleeper.sleep()
		}
	}
	if time.Since(begun) > callLimit {
		return nothing(ctx)
	}
	t, begins, ok := f.prefetched.take(queue, f.served.Load().asked(f.cfg.Queues), func(t fetched) bool {
		if f.deliveries.runs(t.key) {
			return false
		}
		f.deliveries.add(f, t)
		return true
	})
	switch {
	case !ok:
		return nothing(ctx)
	case !begins:
		f.postpone(t)
		return nothing(ctx)
	}
	if f.pausedSince(ctx, t) {
		f.deliveries.drop(t.key, f.deliveries.get(t.key))
		f.returnBatches(append([]*batch{{queue: queue, tasks: []fetched{t}}}, f.prefetched.removeQueue(queue)...))
		return nothing(ctx)
	}
	f.fetchAhead(ctx)
	cmd := redis.NewCmd(ctx)
	cmd.SetVal(t.message)
	return cmd
}

// fetchNow gets as many tasks as there are free slots.
func (f *Fetcher) fetchNow(ctx context.Context) (got bool, err error) {
	limit := 1 // asynq asks when it has a free slot
	if !f.b.Options().NoPipelining {
		limit = min(max(f.Slots()-f.deliveries.len(), 1), prefetchLimit)
	}
	b, err := f.fetch(ctx, limit)
	if b == nil || err != nil {
		return false, err
	}
	f.prefetched.more = b.full
	return true, nil
}

// fetchAhead gets the next tasks while slots are busy still, if tasks are so quick that a slot is free before the
// tasks are here. Those that no slot wants soon, since a slow task came in between, are put back for other workers.
func (f *Fetcher) fetchAhead(ctx context.Context) {
	p := &f.prefetched
	if p.ahead != nil {
		select {
		case <-p.ahead:
			p.ahead = nil
		default:
			return
		}
	}
	limit := min(f.Slots(), prefetchLimit)
	if !p.more || f.b.Options().NoPipelining || p.len() > limit/2 || f.deliveries.slow() || f.reclaimed != f.b.Connects() {
		return
	}
	p.more = false
	arrived := make(chan struct{})
	begun := p.begin(func() {
		defer close(arrived)
		b, err := f.fetch(ctx, limit)
		if b == nil || err != nil {
			return // the next fetch says why
		}
		p.more = b.full
		time.AfterFunc(p.patience, func() { f.returnBatches(p.removeFrom(b)) })
	})
	if begun {
		p.ahead = arrived
	}
}

// pausedSince tells whether the queue of a task that has waited here is paused by now. While Redis does not answer it is not
// known to be.
func (f *Fetcher) pausedSince(ctx context.Context, t fetched) bool {
	if time.Since(time.UnixMilli(t.began)) < unasked {
		return false
	}
	paused, err := f.b.IsPaused(ctx, t.queue)
	return err == nil && paused
}

// busyDelay is how long a task waits that this worker may not begin again yet.
const busyDelay = time.Second

// postpone puts a task back for a moment whose earlier run has not ended here, though its task was lost: asynq tells runs
// of one task in one server apart badly.
func (f *Fetcher) postpone(t fetched) {
	r := returnBatch{queue: t.queue, tasks: []returned{{id: t.id, token: t.token, delay: busyDelay}}}
	if _, err := f.returnTasks(context.Background(), r); err != nil {
		f.prefetched.unreturned.Store(true)
		f.logger.Warn("a task whose earlier run has not ended here is not put back", "queue", t.queue, "task", t.id, "error", err)
	}
}

// rest pauses after a failed fetch, longer each time.
func (f *Fetcher) rest() {
	f.prefetched.pause = min(max(2*f.prefetched.pause, firstFetchPause), maxFetchPause)
	timer := time.NewTimer(f.prefetched.pause)
	defer timer.Stop()
	select {
	case <-f.closed:
	case <-timer.C:
	}
}
