package broker

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/paidui/paidui/tasks/broker/internal/format"
)

// Prioritized counts the tasks of a queue that wait with a priority other than normal, which asynq's own tools do not see,
// and tells since when the next one of them waits: the earlier of the high and the low one, zero without any. Revoked
// tasks whose ids have not been fetched yet count.
func (b *Broker) Prioritized(ctx context.Context, queue string) (n int, since time.Time, err error) {
	lists := []string{format.HighKey(queue), format.LowKey(queue)}
	pipe := b.rdb.Pipeline()
	sizes, next := make([]*redis.IntCmd, len(lists)), make([]*redis.StringCmd, len(lists))
	for i, list := range lists {
		sizes[i], next[i] = pipe.LLen(ctx, list), pipe.LIndex(ctx, list, -1)
	}
	if _, err := pipe.Exec(ctx); err != nil && !errors.Is(err, redis.Nil) {
		return 0, since, fmt.Errorf("count what waits in queue %s: %w", queue, err)
	}
	for i := range lists {
		n += int(sizes[i].Val())
		if next[i].Err() != nil { // the list is empty
			continue
		}
		held, err := b.rdb.HGet(ctx, format.TaskKey(queue, next[i].Val()), "pending_since").Result()
		if errors.Is(err, redis.Nil) { // begun or revoked meanwhile
			continue
		}
		if err != nil {
			return 0, since, fmt.Errorf("look at the next task of queue %s: %w", queue, err)
		}
		ns, err := strconv.ParseInt(held, 10, 64)
		if err != nil {
			continue // another program's
		}
		if at := time.Unix(0, ns); since.IsZero() || at.Before(since) {
			since = at
		}
	}
	return n, since, nil
}
