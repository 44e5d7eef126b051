package redisx_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/deploy/testenv"
	"github.com/paidui/paidui/models/redisx"
)

const replicaSetting = "PAIDUI_CACHE_REPLICA_URL"

func TestConnectReplicaReadsWithoutThePrimary(t *testing.T) {
	t.Parallel()
	urls := map[string]func(primary, replica *testenv.RedisServer) string{
		"named": func(_, replica *testenv.RedisServer) string { return replica.URL(0) },
		"found by a sentinel": func(primary, _ *testenv.RedisServer) string {
			return testenv.RedisSentinel(t, primary, 1)
		},
	}
	for name, url := range urls {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			primary := testenv.Redis(t)
			replica := testenv.RedisReplica(t, primary)
			writer, err := redisx.Connect(t.Context(), replicaSetting, primary.URL(0))
			require.NoError(t, err)
			require.NoError(t, writer.Set(t.Context(), "key", "value", 0).Err())
			require.NoError(t, writer.Do(t.Context(), "WAIT", 1, 0).Err())
			require.NoError(t, writer.Close())

			rdb, away, err := redisx.ConnectReplica(t.Context(), replicaSetting, url(primary, replica))
			require.NoError(t, err)
			require.NoError(t, away)
			primary.Kill()
			require.Equal(t, "value", rdb.Get(t.Context(), "key").Val())
			require.ErrorContains(t, rdb.Set(t.Context(), "key", "other", 0).Err(), "READONLY")
			require.NoError(t, rdb.Close())
		})
	}
}

func TestConnectReplicaOfACluster(t *testing.T) {
	t.Parallel()
	rdb, away, err := redisx.ConnectReplica(t.Context(), replicaSetting, testenv.RedisCluster(t))
	require.NoError(t, err)
	require.NoError(t, away)
	require.NoError(t, rdb.Set(t.Context(), "key", "value", 0).Err())
	require.Equal(t, "value", rdb.Get(t.Context(), "key").Val(), "a master without replicas is read itself")
	require.NoError(t, rdb.Close())
}

func TestConnectReplicaDoesNotWaitForOne(t *testing.T) {
	t.Parallel()
	server := testenv.Redis(t)
	server.Stop()
	rdb, away, err := redisx.ConnectReplica(t.Context(), replicaSetting, server.URL(0))
	require.NoError(t, err)
	require.ErrorContains(t, away, "no answer from Redis at "+server.Addr)
	server.Start()
	require.NoError(t, rdb.Ping(t.Context()).Err())
	require.NoError(t, rdb.Close())

	var wrong *redisx.URLError
	_, _, err = redisx.ConnectReplica(t.Context(), replicaSetting, "redis://:wrong@"+testenv.Redis(t, testenv.WithPassword("x")).Addr)
	require.ErrorAs(t, err, &wrong)
	_, _, err = redisx.ConnectReplica(t.Context(), replicaSetting, fmt.Sprint("http://", server.Addr))
	require.ErrorAs(t, err, &wrong)
}
