package cache

import (
	"context"
	"fmt"

	"github.com/redis/go-redis/v9"
)

// replicaHook sends scripts to replicas. A cluster's client that reads from replicas cannot tell a script that only reads
// from one that writes, and would send all of them to primaries.
type replicaHook struct{ cluster *redis.ClusterClient }

// DialHook implements redis.Hook.
func (replicaHook) DialHook(next redis.DialHook) redis.DialHook { return next }

// ProcessHook implements redis.Hook.
func (h replicaHook) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if name := cmd.Name(); name != "evalsha" && name != "eval" {
			return next(ctx, cmd)
		}
		key, ok := keyOf(cmd)
		if !ok {
			return next(ctx, cmd)
		}
		replica, err := h.cluster.SlaveForKey(ctx, key)
		if err != nil {
			return fmt.Errorf("looking for a replica: %w", err)
		}
		if err = replica.Process(ctx, cmd); redis.HasErrorPrefix(err, "MOVED") { // it has become another's
			h.cluster.ReloadState(ctx)
			return next(ctx, cmd)
		}
		return err
	}
}

// ProcessPipelineHook implements redis.Hook.
func (replicaHook) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}
