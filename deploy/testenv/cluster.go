package testenv

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// RedisCluster starts a cluster of one node for this test and returns its URL. It refuses commands and scripts whose
// keys are in several slots, as a larger cluster does.
func RedisCluster(t testing.TB) string {
	t.Helper()
	server := Redis(t, WithArgs("--cluster-enabled", "yes"))
	node := redis.NewClient(&redis.Options{Addr: server.Addr})
	defer func() { _ = node.Close() }()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	const lastSlot = 16383
	if err := node.ClusterAddSlotsRange(ctx, 0, lastSlot).Err(); err != nil {
		t.Fatalf("making a Redis cluster: %v", err)
	}
	for {
		info, err := node.ClusterInfo(ctx).Result()
		if err == nil && strings.Contains(info, "cluster_state:ok") {
			return "redis+cluster://" + server.Addr
		}
		select {
		case <-ctx.Done():
			t.Fatalf("the Redis cluster is not well: %s %v", info, err)
		case <-time.After(10 * time.Millisecond):
		}
	}
}
