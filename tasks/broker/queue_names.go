package broker

import (
	"context"
	"fmt"
	"slices"

	"github.com/redis/go-redis/v9"

	"github.com/paidui/paidui/tasks/broker/internal/format"
)

// QueueNames are the names of all queues that are known, sorted: those that a task was ever enqueued into, and of those that
// never had one the ones that a living worker serves, or that are paused.
func (b *Broker) QueueNames(ctx context.Context) ([]string, error) {
	pipe := b.rdb.Pipeline()
	used, served := pipe.SMembers(ctx, format.AllQueuesKey), pipe.SMembers(ctx, format.WorkerQueuesKey)
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, fmt.Errorf("list queues: %w", err)
	}
	names := used.Val()
	slices.Sort(names)
	unused := slices.DeleteFunc(served.Val(), func(q string) bool {
		_, isUsed := slices.BinarySearch(names, q)
		return isUsed
	})
	unused, err := b.inUse(ctx, unused)
	if err != nil {
		return nil, err
	}
	names = append(names, unused...)
	slices.Sort(names)
	return names, nil
}

// HasQueue reports whether QueueNames has the queue.
func (b *Broker) HasQueue(ctx context.Context, queue string) (bool, error) {
	known, err := b.rdb.SIsMember(ctx, format.AllQueuesKey, queue).Result()
	if err != nil {
		return false, fmt.Errorf("look for queue %s: %w", queue, err)
	}
	if known {
		return true, nil
	}
	used, err := b.inUse(ctx, []string{queue})
	return len(used) > 0, err
}

// inUse are those of queues that a living worker serves, or that are paused.
func (b *Broker) inUse(ctx context.Context, queues []string) ([]string, error) {
	if len(queues) == 0 {
		return nil, nil
	}
	living, err := b.Workers(ctx, queues)
	if err != nil {
		return nil, err
	}
	pipe := b.rdb.Pipeline()
	paused := make(map[string]*redis.IntCmd, len(queues))
	for _, q := range queues {
		paused[q] = pipe.Exists(ctx, format.PausedKey(q))
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, fmt.Errorf("ask which queues are paused: %w", err)
	}
	return slices.DeleteFunc(queues, func(q string) bool { return living[q] == 0 && paused[q].Val() == 0 }), nil
}
