package cache

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/deploy/testenv"
)

func testBackends(t *testing.T, primary, replica redis.UniversalClient) backends {
	t.Helper()
	m, err := newStoreMetrics(nil)
	require.NoError(t, err)
	return newBackends(primary, StoreOptions{Replica: replica, Timeout: accessTimeout, Logger: testenv.Quiet()}, m)
}

func (b backends) get(ctx context.Context, key string) (value string, degraded bool, err error) {
	degraded, err = b.read(ctx, func(ctx context.Context, rdb redis.UniversalClient) error {
		value, err = rdb.Get(ctx, key).Result()
		return err
	})
	return value, degraded, err
}

func TestReadsFallToTheReplica(t *testing.T) {
	t.Parallel()
	primary, replica := testenv.Redis(t), testenv.Redis(t)
	all := testBackends(t, connect(t, primary.URL(0)), connect(t, replica.URL(0)))
	admin := connect(t, replica.URL(0))
	host, port := addr(t, primary.Addr)
	require.NoError(t, admin.SlaveOf(t.Context(), host, port).Err())
	require.NoError(t, connect(t, primary.URL(0)).Set(t.Context(), "k", "v", 0).Err())
	require.Eventually(t, func() bool { return admin.Get(t.Context(), "k").Val() == "v" }, 20*time.Second, time.Millisecond)

	got, degraded, err := all.get(t.Context(), "k")
	require.NoError(t, err)
	require.False(t, degraded)
	require.Equal(t, "v", got)

	primary.Kill()
	for range 10 {
		got, degraded, err = all.get(t.Context(), "k")
		require.NoError(t, err)
		require.True(t, degraded)
		require.Equal(t, "v", got)
	}
	_, _, err = all.get(t.Context(), "none")
	require.ErrorIs(t, err, redis.Nil, "that there is nothing is an answer")
	require.True(t, all.primary.breaker.open())
	require.False(t, all.replica.breaker.open())

	require.NoError(t, admin.SlaveOf(t.Context(), "NO", "ONE").Err()) // it is promoted
	got, _, err = all.get(t.Context(), "k")
	require.NoError(t, err)
	require.Equal(t, "v", got)

	replica.Kill()
	_, _, err = all.get(t.Context(), "k")
	require.ErrorIs(t, err, ErrAway)
	primary.Start()
	require.Eventually(t, func() bool {
		_, degraded, err := all.get(t.Context(), "k")
		return !degraded && errors.Is(err, redis.Nil)
	},
		20*time.Second, 10*time.Millisecond)
	require.False(t, all.primary.breaker.open())
	require.Positive(t, testutil.ToFloat64(all.primary.metrics.errors.WithLabelValues("primary")))
}

func addr(t *testing.T, hostport string) (host, port string) {
	t.Helper()
	opt, err := redis.ParseURL("redis://" + hostport)
	require.NoError(t, err)
	return "127.0.0.1", opt.Addr[len("127.0.0.1:"):]
}

// TestAFrozenServerCostsFewATimeout has a server that takes connections and never answers.
func TestAFrozenServerCostsFewATimeout(t *testing.T) {
	t.Parallel()
	proxy := testenv.NewProxy(t, testenv.Redis(t).Addr)
	all := testBackends(t, connect(t, proxy.URL(0)), nil)
	_, _, err := all.get(t.Context(), "k")
	require.ErrorIs(t, err, redis.Nil)
	proxy.Stall(true)
	defer proxy.Stall(false)
	var slow, quick atomic.Int32
	var readers sync.WaitGroup
	until := time.Now().Add(4 * time.Second)
	for range 8 {
		readers.Go(func() {
			for time.Now().Before(until) {
				began := time.Now()
				if _, _, err := all.get(t.Context(), "k"); !errors.Is(err, ErrAway) {
					t.Errorf("got %v", err)
				}
				if time.Since(began) >= accessTimeout/2 {
					slow.Add(1)
				} else {
					quick.Add(1)
				}
				time.Sleep(time.Millisecond)
			}
		})
	}
	readers.Wait()
	require.LessOrEqual(t, slow.Load(), int32(8+6), "those that met the frost first, and a probe each second")
	require.Greater(t, quick.Load(), int32(100))
	proxy.Stall(false)
	require.Eventually(t, func() bool { _, _, err := all.get(t.Context(), "k"); return errors.Is(err, redis.Nil) },
		20*time.Second, 10*time.Millisecond)
}

func TestACallerWhoGivesUpSaysNothingAboutTheServer(t *testing.T) {
	t.Parallel()
	all := testBackends(t, connect(t, testenv.RedisURL(t)), nil)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for range 10 {
		_, _, err := all.get(ctx, "k")
		require.ErrorIs(t, err, context.Canceled)
		require.NotErrorIs(t, err, ErrAway)
	}
	require.False(t, all.primary.breaker.open())
}

func TestARefusedCommandIsNoAbsence(t *testing.T) {
	t.Parallel()
	rdb := connect(t, testenv.RedisURL(t))
	require.NoError(t, rdb.HSet(t.Context(), "hash", "a", "b").Err())
	all := testBackends(t, rdb, nil)
	for range 10 {
		_, _, err := all.get(t.Context(), "hash")
		require.ErrorContains(t, err, "WRONGTYPE")
		require.NotErrorIs(t, err, ErrAway)
	}
	require.False(t, all.primary.breaker.open())
}
