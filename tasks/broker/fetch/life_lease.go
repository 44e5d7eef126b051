package fetch

import (
	"context"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/paidui/paidui/tasks/broker/internal/format"
)

// extendLimit bounds the time that extending leases may take: asynq's heartbeat waits for it.
const extendLimit = 5 * time.Second

// ZAddXX is how asynq extends leases. It always succeeds for asynq, which would end the tasks otherwise: whether they are
// this worker's still is decided by its life. In Redis the leases are for workers that know nothing of lives.
func (f *Fetcher) ZAddXX(ctx context.Context, key string, members ...redis.Z) *redis.IntCmd {
	queue, ok := format.LeaseQueue(key)
	if !ok {
		return f.UniversalClient.ZAddXX(ctx, key, members...)
	}
	f.deliveries.extend(format.TaskKeyPrefix(queue), members)
	ids := make([]string, len(members))
	for i, z := range members {
		ids[i], _ = z.Member.(string)
	}
	ctx, cancel := context.WithTimeout(ctx, extendLimit)
	defer cancel()
	if err := f.extendLeases(ctx, queue, ids); err != nil {
		f.logger.DebugContext(ctx, "leases are not extended; the worker keeps its tasks while its life lasts", "queue", queue, "error", err)
	}
	return redis.NewIntCmd(ctx)
}

func (f *Fetcher) extendLeases(ctx context.Context, queue string, ids []string) error {
	args := make([]any, 0, 1+len(ids))
	args = append(args, int(format.LeaseTime.Seconds()))
	for _, id := range ids {
		args = append(args, id)
	}
	if err := extendLeaseScript.Run(ctx, f.b.Redis(), []string{format.LeaseKey(queue)}, args...).Err(); err != nil {
		return fmt.Errorf("extend leases of queue %s: %w", queue, err)
	}
	return nil
}

var extendLeaseScript = format.Script("fetch/lease_extend.lua")
