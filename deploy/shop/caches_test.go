package shop

import (
	"bytes"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/deploy/testenv"
)

// TestAReplicaNeedNotBeThere opens the caches' Redis while its replica is away.
func TestAReplicaNeedNotBeThere(t *testing.T) {
	t.Parallel()
	primary, replica := testenv.Redis(t), testenv.Redis(t)
	replica.Stop()
	var log bytes.Buffer
	logger := slog.New(slog.NewTextHandler(&log, nil))
	var c caches
	require.NoError(t, c.openReplica(t.Context(), logger, primary.URL(2), replica.URL(2)))
	require.Contains(t, log.String(), "the replica of the cache does not answer")
	replica.Start()
	require.NoError(t, c.replica.Ping(t.Context()).Err())
	require.NoError(t, c.replica.Close())

	c = caches{}
	require.NoError(t, c.openReplica(t.Context(), logger, primary.URL(2), ""))
	require.Nil(t, c.replica)
	require.ErrorContains(t, c.openReplica(t.Context(), logger, primary.URL(2), "redis://127.0.0.1:1/-1"), "PAIDUI_CACHE_REPLICA_URL")

	require.NoError(t, c.openReplica(t.Context(), logger, testenv.RedisCluster(t), ""))
	require.NotNil(t, c.replica, "a cluster finds its own")
	require.NoError(t, c.replica.Close())
}
