package cache

import (
	"context"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
)

func TestStructuresOfAnAppliersOwn(t *testing.T) {
	t.Parallel()
	server := miniredis.RunT(t)
	rdb := redis.NewClient(&redis.Options{Addr: server.Addr(), MaxRetries: -1})
	t.Cleanup(func() { require.NoError(t, rdb.Close()) })
	s, err := NewStore(rdb, StoreOptions{Registry: prometheus.NewRegistry()})
	require.NoError(t, err)
	write := func(ctx context.Context, rdb redis.UniversalClient) error { return rdb.Set(ctx, "own", 1, 0).Err() }
	require.NoError(t, s.Use(t.Context(), write))
	require.ErrorIs(t, s.Use(t.Context(), func(ctx context.Context, rdb redis.UniversalClient) error {
		return rdb.Get(ctx, "nothing").Err()
	}), redis.Nil)

	m := s.Meter("own")
	m.Hit()
	m.Null()
	m.Miss()
	m.Degraded()
	m.Loaded(time.Second, true)
	m.Loaded(time.Second, false)
	m.Failed()
	for _, c := range []prometheus.Counter{
		m.m.hits, m.m.nulls, m.m.misses, m.m.degraded, m.m.fills, m.m.refused, m.m.failed,
	} {
		require.EqualValues(t, 1, testutil.ToFloat64(c))
	}

	began, ended := make(chan struct{}), false
	require.True(t, s.Go(t.Context(), func(ctx context.Context) {
		close(began)
		<-ctx.Done()
		ended = true
	}))
	<-began
	s.Close()
	require.True(t, ended)
	require.False(t, s.Go(t.Context(), func(context.Context) { t.Error("it ran") }))

	server.Close()
	require.ErrorIs(t, s.Use(t.Context(), write), ErrAway)
}
