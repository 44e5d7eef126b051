package fetch

import (
	"context"
	"sync"

	"github.com/redis/go-redis/v9"

	"github.com/paidui/paidui/tasks/broker/internal/format"
)

// due are the delayed sets (scheduled and retry) of the queues that hold tasks which are due in the second.
type due struct {
	mu     sync.Mutex
	second int64
	sets   map[string]bool
}

// forward answers asynq, which asks for each delayed set in turn. In each second the first call asks for all of them at
// once, and only those with something due are forwarded.
func (f *Fetcher) forward(ctx context.Context, queue, delayed string, second int64, args []any) *redis.Cmd {
	f.due.mu.Lock()
	defer f.due.mu.Unlock()
	if second != f.due.second { // a clock may be set back
		sets, err := f.dueSets(ctx, second)
		if err != nil {
			return failed(ctx, err)
		}
		f.due.second, f.due.sets = second, sets
		f.forwardAdded(ctx, second, args)
	}
	if !f.due.sets[delayed] {
		cmd := redis.NewCmd(ctx)
		cmd.SetVal(int64(0))
		return cmd
	}
	return f.forwardSet(ctx, queue, delayed, args)
}

// forwardSet moves what is due of one set.
func (f *Fetcher) forwardSet(ctx context.Context, queue, delayed string, args []any) *redis.Cmd {
	cmd := forwardScript.Run(ctx, f.b.Redis(), []string{delayed, format.PendingKey(queue), format.HighKey(queue), format.LowKey(queue)}, args...)
	moved, err := cmd.Int()
	if err != nil {
		return cmd
	}
	if moved > 0 {
		if err := f.b.Ring(ctx, queue); err != nil {
			f.logger.DebugContext(ctx, "no wake-up for due tasks; the fallback finds them", "queue", queue, "error", err)
		}
	}
	if moved < forwardBatch {
		delete(f.due.sets, delayed)
	}
	return cmd
}

// dueSets asks which delayed sets hold tasks that are due. On a Redis Cluster it does not know and names all.
func (f *Fetcher) dueSets(ctx context.Context, second int64) (map[string]bool, error) {
	queues := f.forwarded()
	keys := make([]string, 0, 2*len(queues))
	for _, q := range queues {
		keys = append(keys, format.ScheduledKey(q), format.RetryKey(q))
	}
	names := keys
	if !f.b.Clustered() {
		var err error
		if names, err = dueScript.Run(ctx, f.b.Redis(), keys, second).StringSlice(); err != nil {
			return nil, err
		}
	}
	sets := make(map[string]bool, len(names))
	for _, name := range names {
		sets[name] = true
	}
	return sets, nil
}

var dueScript = format.Script("fetch/forward_due.lua")

var forwardScript = format.Script("fetch/forward.lua")
