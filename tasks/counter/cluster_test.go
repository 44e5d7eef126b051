package counter

import (
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/deploy/testenv"
	"github.com/paidui/paidui/models/cache"
	"github.com/paidui/paidui/models/redisx"
)

// TestCountsOutliveAPrimary kills the primary of a cluster that counts articles.
func TestCountsOutliveAPrimary(t *testing.T) {
	t.Parallel()
	nodes := testenv.RedisNodes(t, 3, true)
	s := open(t, "sqlite://"+filepath.Join(t.TempDir(), "site.db"), testenv.RedisURL(t), nodes.URL())
	replica, away, err := redisx.ConnectReplica(t.Context(), "PAIDUI_CACHE_URL", nodes.URL())
	require.NoError(t, err)
	require.NoError(t, away)
	t.Cleanup(func() { _ = replica.Close() })
	places := s.crowd(t, 20)
	_, err = s.counters.Reconcile(t.Context())
	require.NoError(t, err)
	s.requireTrue(t)
	first := places[0]
	node, err := s.rdb.(*redis.ClusterClient).MasterForKey(t.Context(), Articles.Key())
	require.NoError(t, err)

	at := slices.IndexFunc(nodes.Servers, func(s *testenv.RedisServer) bool { return s.Addr == node.Options().Addr })
	nodes.Await(t.Context())
	nodes.Servers[at].Kill()
	begun := time.Now()
	store, err := cache.NewStore(s.rdb, cache.StoreOptions{Replica: replica, Logger: testenv.Quiet()})
	require.NoError(t, err)
	t.Cleanup(store.Close)
	c := s.over(store)
	// Until the cluster sees what has happened; then it refuses everything until a replica has taken the place. A machine that
	// stands still in between leaves time for a try or two, which may end late.
	for try := 1; ; try++ {
		found, err := c.ranked(t.Context(), Articles, 0, len(places))
		if time.Since(begun) >= testenv.NodeTimeout*3/4 {
			require.LessOrEqual(t, try, 3, "the replica has the ranking: %v", err)
			break
		}
		if err == nil {
			require.Equal(t, places, found)
			break
		}
	}
	top, err := c.top(t.Context(), Articles, MaxTop)
	require.NoError(t, err)
	require.Equal(t, lines(places), top)
	counts, err := c.Of(t.Context(), first.User)
	require.NoError(t, err)
	require.Equal(t, Counts{Articles: first.Count}, counts)

	s.publish(t, first.User, 2) // commits, and what it changes has to wait
	require.NoError(t, s.follow(first.User, places[1].User, true))
	s.work(t)
	s.ended(t)
	s.requireTrue(t)
	require.Eventually(t, func() bool {
		counts, err := c.Of(t.Context(), first.User)
		require.NoError(t, err)
		return counts == Counts{Articles: first.Count + 2, Followings: 1}
	}, patience, 20*time.Millisecond)
	result, err := s.counters.Reconcile(t.Context())
	require.NoError(t, err)
	require.Zero(t, result.Repaired)
	s.requireTrue(t)
}
