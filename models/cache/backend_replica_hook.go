package cache

import (
	"context"
	"fmt"

	"github.com/redis/go-redis/v9"
)

// scripts sends scripts to replicas, where a cluster's client is to read from those: it can't tell a script that only
// reads from others, and would send all to primaries.
type scripts struct{ cluster *redis.ClusterClient }

// DialHook implements redis.Hook.
func (s scripts) DialHook(next redis.DialHook) redis.DialHook { return next }

// ProcessHook implements redis.Hook.
func (s scripts) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if name := cmd.Name(); name != "evalsha" && name != "eval" {
			return next(ctx, cmd)
		}
		key, ok := keyOf(cmd)
		if !ok {
			return next(ctx, cmd)
		}
		replica, err := s.cluster.SlaveForKey(ctx, key)
		if err != nil {
			return fmt.Errorf("looking for a replica: %w", err)
		}
		if err = replica.Process(ctx, cmd); redis.HasErrorPrefix(err, "MOVED") { // it has become another's
			s.cluster.ReloadState(ctx)
			return next(ctx, cmd)
		}
		return err
	}
}

// ProcessPipelineHook implements redis.Hook.
func (s scripts) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}
