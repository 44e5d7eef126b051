package following

import (
	"context"
	"sync/atomic"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/deploy/testenv"
)

// TestListsOfAllPrimariesAreReconciled has lists on each primary of a cluster.
func TestListsOfAllPrimariesAreReconciled(t *testing.T) {
	t.Parallel()
	w := openWorld(t, "sqlite://:memory:", testenv.RedisNodes(t, 3, false).URL())
	w.clock()
	for user := range int64(crowd) {
		w.follow(t, user+1, (user+1)%crowd+1)
		total, _ := w.pages(t, user+1, 10)
		require.EqualValues(t, 1, total)
		w.insert(t, user+1, Entry{(user+2)%crowd + 1, at(0)}) // and the list does not know
	}
	var primaries atomic.Int64
	require.NoError(t, w.rdb.(*redis.ClusterClient).ForEachMaster(t.Context(), func(ctx context.Context, node *redis.Client) error {
		if node.DBSize(ctx).Val() > 0 {
			primaries.Add(1)
		}
		return nil
	}))
	require.EqualValues(t, 3, primaries.Load())

	got := w.reconcile(t)
	require.Equal(t, crowd, got.Lists)
	require.Equal(t, crowd, got.Repaired)
	for user := range int64(crowd) {
		require.NoError(t, w.differs(t.Context(), user+1))
	}
	require.Equal(t, crowd, w.reconcile(t).Lists)
	require.Zero(t, w.reconcile(t).Repaired)
}
