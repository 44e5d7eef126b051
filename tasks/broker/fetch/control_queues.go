package fetch

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/paidui/paidui/models/redisx"
	"github.com/paidui/paidui/tasks/broker/internal/format"
)

// asynq is told its queues when its server is made. What it does for those alone, the fetcher does for queues that a command
// has added: move what is due (forwardAdded) and delete what was kept long enough (sweepAdded). A task of an added queue is
// given to asynq when it asks for any other: it goes by the queue in the task's message.

const (
	// sweepEvery is how often completed tasks of added queues are looked at; asynq's own pause is 8 s.
	sweepEvery = 8 * time.Second
	sweepBatch = 100
)

// setQueues has the worker take tasks from these queues alone. When it returns, nothing of another queue begins.
func (f *Fetcher) setQueues(ctx context.Context, weights map[string]int) {
	f.putBackAhead()
	before, now := f.control.bound(), newServed(weights)
	c := &f.control
	c.mu.Lock()
	c.leaving = slices.DeleteFunc(before, func(q string) bool { return slices.Contains(now.queues, q) })
	for _, q := range now.queues {
		if !slices.Contains(f.served.Load().queues, q) {
			c.joining[q] = true
		}
	}
	f.served.Store(now)
	c.served = now.queues
	c.mu.Unlock()
	f.sleeper.listenTo(now.queues)
	c.serveLocal(f, now)
	if err := f.beat(ctx); err != nil { // the next one is not later than the next fetch
		f.logger.DebugContext(ctx, "no heartbeat after a change of queues", "worker", f.cfg.Name, "error", err)
	}
	if f.Phase() == format.PhaseServing {
		f.prefetched.release()
		f.deliveries.tell()
	}
}

// bound are the queues in which this life is: those that it serves, and those in which it has tasks still.
func (c *control) bound() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append(slices.Clone(c.served), c.leaving...)
}

// joins tells whether no beat has reached the queue yet.
func (c *control) joins(queue string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.joining[queue]
}

// joined notes which queues a beat has reached.
func (c *control) joined(answers []beatAnswer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, a := range answers {
		delete(c.joining, a.queue)
	}
}

// leaveQueues ends the life in queues that are not served any more, once all tasks of them have ended here. It belongs to beat.
func (f *Fetcher) leaveQueues(ctx context.Context) error {
	f.control.mu.Lock()
	leaving := slices.Clone(f.control.leaving)
	f.control.mu.Unlock()
	for _, q := range leaving {
		if f.deliveries.hasQueue(q) {
			continue
		}
		left := format.Flag(f.prefetched.unreturned.Load())
		call := &redisx.Call{Script: leaveScript, Keys: []string{format.LivesKey(q), format.EndedKey(q)}, Args: []any{f.life.name, left}}
		redisx.RunScripts(ctx, f.b.Redis(), []*redisx.Call{call})
		if err := call.Cmd.Err(); err != nil {
			return fmt.Errorf("leave queue %s: %w", q, err)
		}
		f.control.mu.Lock()
		f.control.leaving = slices.DeleteFunc(f.control.leaving, func(one string) bool { return one == q })
		f.control.mu.Unlock()
	}
	return nil
}

func (d *deliveries) hasQueue(queue string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, one := range d.byKey {
		if one.fetched.queue == queue {
			return true
		}
	}
	return false
}

// added are the queues that asynq does not know.
func (f *Fetcher) added() []string {
	var list []string
	for _, q := range f.served.Load().queues {
		if _, known := f.cfg.Queues[q]; !known {
			list = append(list, q)
		}
	}
	return list
}

// forwarded are the queues whose due tasks this worker moves.
func (f *Fetcher) forwarded() []string { return append(newServed(f.cfg.Queues).queues, f.added()...) }

// forwardAdded does for the added queues what asynq asks for of the others. args are those of any call of this second. It
// belongs to forward.
func (f *Fetcher) forwardAdded(ctx context.Context, second int64, args []any) {
	for _, q := range f.added() {
		own := slices.Clone(args)
		own[1], own[3] = format.TaskKeyPrefix(q), format.KeyPrefix+q+"}:g:"
		for _, delayed := range []string{format.ScheduledKey(q), format.RetryKey(q)} {
			for f.due.sets[delayed] {
				if err := f.forwardSet(ctx, q, delayed, own).Err(); err != nil {
					f.due.second = second - 1 // the next call tries again
					f.logger.DebugContext(ctx, "due tasks of an added queue are not moved yet", "queue", q, "error", err)
					break
				}
			}
		}
	}
}

// sweepAdded deletes the completed tasks of added queues whose retention has passed.
func (f *Fetcher) sweepAdded(ctx context.Context) {
	for _, q := range f.added() {
		for n := sweepBatch; n == sweepBatch; {
			var err error
			n, err = completedExpireScript.Run(ctx, f.b.Redis(), []string{format.CompletedKey(q)},
				time.Now().Unix(), format.TaskKeyPrefix(q), sweepBatch).Int()
			if err != nil && err != redis.Nil {
				f.logger.DebugContext(ctx, "completed tasks of an added queue are not deleted yet", "queue", q, "error", err)
				return
			}
		}
	}
}

var completedExpireScript = format.Script("fetch/completed_expire.lua")
