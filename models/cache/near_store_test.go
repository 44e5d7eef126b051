package cache

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/deploy/testenv"
)

// nearFor keeps values in the process for so long that no test meets their end.
func nearFor(expiry time.Duration) func(*Config[int64, user]) {
	return func(cfg *Config[int64, user]) { cfg.Near, cfg.NearExpiry = 100, expiry }
}

// running has a store listen until the test ends.
func running(t *testing.T, s *Store) *Store {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	t.Cleanup(func() { cancel(); require.NoError(t, <-ended) })
	testenv.Eventually(t, s.subscription.stands.Load, "it listens")
	return s
}

func TestNearHitsAskNobody(t *testing.T) {
	t.Parallel()
	server := testenv.Redis(t)
	d := newTable(map[int64]user{7: {"Ann"}})
	c := users(open(t, connect(t, server.URL(0))), d, nearFor(time.Hour))
	for _, id := range []int64{7, 8} {
		_, _ = c.Get(t.Context(), id)
	}
	server.Kill()
	for range 10 {
		got, err := c.Get(t.Context(), 7)
		require.NoError(t, err)
		require.Equal(t, user{"Ann"}, got)
		_, err = c.Get(t.Context(), 8)
		require.ErrorIs(t, err, ErrNull)
		many, err := c.GetMany(t.Context(), []int64{7, 8})
		require.NoError(t, err)
		require.Equal(t, map[int64]user{7: {"Ann"}}, many)
	}
	require.EqualValues(t, 2, d.loads.Load())
	require.EqualValues(t, 20, testutil.ToFloat64(c.counts.near))
	require.EqualValues(t, 20, testutil.ToFloat64(c.counts.nulls))
	require.Zero(t, testutil.ToFloat64(c.counts.degraded))
}

func TestAWriterSeesItsOwnWriteAtOnce(t *testing.T) {
	t.Parallel()
	for name, strategy := range map[string]Strategy{"delete": DeleteOnWrite, "update": UpdateOnWrite, "both": DeleteOnWrite | UpdateOnWrite} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newTable(map[int64]user{7: {"0"}})
			s := open(t, connect(t, testenv.RedisURL(t))) // which hears nothing
			c := users(s, d, nearFor(time.Hour), func(cfg *Config[int64, user]) { cfg.Strategy = strategy })
			ctx, cancel := context.WithCancel(t.Context())
			var readers sync.WaitGroup
			for range 4 {
				readers.Go(func() {
					for ctx.Err() == nil {
						_, _ = c.Get(ctx, 7)
						time.Sleep(10 * time.Microsecond) // leaves the processors to the writer, too
					}
				})
			}
			for i := range 200 {
				d.set(7, fmt.Sprint(i))
				if err := s.Apply(t.Context(), fmt.Sprint("task ", i), c.Changes(7)); err != nil {
					t.Error(err)
				}
				if got, err := c.Get(t.Context(), 7); err != nil || got.Name != fmt.Sprint(i) {
					t.Errorf("write %d: got %v, %v", i, got, err)
				}
			}
			cancel()
			readers.Wait()
		})
	}
}

func TestOtherProcessesForgetAtOnce(t *testing.T) {
	t.Parallel()
	servers(t, func(t *testing.T, rdb redis.UniversalClient) {
		d := newTable(map[int64]user{7: {"old"}})
		writer := users(open(t, rdb), d, nearFor(time.Hour))
		reader := users(running(t, open(t, rdb)), d, nearFor(time.Hour))
		for i := range 20 {
			name := fmt.Sprint(i)
			d.set(7, name)
			require.NoError(t, writer.store.Apply(t.Context(), name, writer.Changes(7)))
			testenv.Eventually(t, func() bool {
				got, err := reader.Get(t.Context(), 7)
				return err == nil && got.Name == name
			}, "the reader has the new value")

		}
		require.Positive(t, testutil.ToFloat64(reader.store.metrics.invalidations))
	})
}

func TestWhatChangedUnheardIsForgottenWhenItHearsAgain(t *testing.T) {
	t.Parallel()
	server := testenv.Redis(t)
	proxy := testenv.NewProxy(t, server.Addr)
	d := newTable(map[int64]user{7: {"old"}})
	writer := users(open(t, connect(t, server.URL(0))), d)
	reader := users(running(t, open(t, connect(t, proxy.URL(0)))), d, nearFor(time.Hour))
	_, err := reader.Get(t.Context(), 7)
	require.NoError(t, err)
	proxy.Stall(true) // the message is on its way, and then lost
	d.set(7, "new")
	require.NoError(t, writer.store.Apply(t.Context(), "task", writer.Changes(7)))
	got, err := reader.Get(t.Context(), 7)
	require.NoError(t, err)
	require.Equal(t, user{"old"}, got, "it can't know")
	proxy.Cut()
	proxy.Stall(false)
	testenv.Eventually(t, func() bool {
		got, err := reader.Get(t.Context(), 7)
		return err == nil && got.Name == "new"
	}, "the reader has the new value")
}

func TestNearValuesExpire(t *testing.T) {
	t.Parallel()
	rdb := connect(t, testenv.RedisURL(t))
	c := users(open(t, rdb), newTable(map[int64]user{7: {"old"}}), nearFor(50*time.Millisecond))
	_, err := c.Get(t.Context(), 7)
	require.NoError(t, err)
	require.NoError(t, rdb.Set(t.Context(), key, `{"name":"new"}`, 0).Err()) // and nobody is told
	testenv.Eventually(t, func() bool {
		got, err := c.Get(t.Context(), 7)
		return err == nil && got.Name == "new"
	}, "the value has expired")
}

func TestAStoreMayForbidNear(t *testing.T) {
	t.Parallel()
	rdb := connect(t, testenv.RedisURL(t))
	s := open(t, rdb, func(o *StoreOptions) { o.NoNear = true })
	c := users(s, newTable(map[int64]user{7: {"old"}}), nearFor(time.Hour))
	_, err := c.Get(t.Context(), 7)
	require.NoError(t, err)
	require.NoError(t, rdb.Set(t.Context(), key, `{"name":"new"}`, 0).Err())
	got, err := c.Get(t.Context(), 7)
	require.NoError(t, err)
	require.Equal(t, user{"new"}, got)
}

func TestTheLastKnownValueIsServedWhenTheDatabaseFails(t *testing.T) {
	t.Parallel()
	server := testenv.Redis(t)
	d := newTable(map[int64]user{7: {"Ann"}})
	c := users(open(t, connect(t, server.URL(0))), d, func(cfg *Config[int64, user]) { cfg.Stale = time.Hour })
	_, err := c.Get(t.Context(), 7)
	require.NoError(t, err)
	d.fail(errors.New("no database"))
	require.NoError(t, c.Clear(t.Context(), 7))
	got, err := c.Get(t.Context(), 7)
	require.NoError(t, err)
	require.Equal(t, user{"Ann"}, got, "a change makes it old, not unknown")
	server.Kill() // and now nobody but the process knows it
	got, err = c.Get(t.Context(), 7)
	require.NoError(t, err)
	require.Equal(t, user{"Ann"}, got)
	require.EqualValues(t, 2, testutil.ToFloat64(c.counts.stale))
	_, err = c.Get(t.Context(), 8)
	require.ErrorContains(t, err, "no database", "it was never known")
	server.Start()
	d.fail(nil)
	d.set(7, "Bob")
	testenv.Eventually(t, func() bool {
		got, err := c.Get(t.Context(), 7)
		return err == nil && got == user{"Bob"}
	}, "the new value")
}

func TestEncodedValuesAreMadeOnce(t *testing.T) {
	t.Parallel()
	s := open(t, connect(t, testenv.RedisURL(t)))
	type shown struct {
		First string `json:"first"`
	}
	views := 0
	c := users(s, newTable(map[int64]user{7: {"Ann"}}), nearFor(time.Hour), func(cfg *Config[int64, user]) {
		cfg.View = func(u user) any { views++; return shown{u.Name} }
	})
	plain := users(s, newTable(map[int64]user{7: {"Ann"}}), nearFor(time.Hour), func(cfg *Config[int64, user]) {
		cfg.Name, cfg.Key = "plain", func(id int64) string { return fmt.Sprint("plain:", id) }
	})
	data, etag, err := c.Encoded(t.Context(), 7)
	require.NoError(t, err)
	require.JSONEq(t, `{"first":"Ann"}`, string(data))
	require.Regexp(t, `^"[A-Za-z0-9_-]{20}"$`, etag)
	again, sameTag, err := c.Encoded(t.Context(), 7)
	require.NoError(t, err)
	require.Same(t, &data[0], &again[0])
	require.Equal(t, etag, sameTag)
	require.Equal(t, 1, views)

	data, other, err := plain.Encoded(t.Context(), 7)
	require.NoError(t, err)
	require.JSONEq(t, `{"name":"Ann"}`, string(data))
	require.NotEqual(t, etag, other)
	_, _, err = plain.Encoded(t.Context(), 8)
	require.ErrorIs(t, err, ErrNull)
}

func TestMetricsOfACache(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewRegistry()
	rdb := connect(t, testenv.RedisURL(t))
	s := open(t, rdb, func(o *StoreOptions) { o.Registry = registry })
	c := users(s, newTable(map[int64]user{7: {"Ann"}}))
	for range 2 {
		_, _ = c.Get(t.Context(), 7)
		_, _ = c.Get(t.Context(), 8)
	}
	require.NoError(t, rdb.Set(t.Context(), key, "[poison", 0).Err())
	_, err := c.Get(t.Context(), 7)
	require.NoError(t, err)
	require.NoError(t, testutil.GatherAndCompare(registry, strings.NewReader(`
# HELP paidui_cache_breaker_open Whether the server is left alone, since it does not answer.
# TYPE paidui_cache_breaker_open gauge
paidui_cache_breaker_open{server="database"} 0
paidui_cache_breaker_open{server="primary"} 0
# HELP paidui_cache_fills_total Values stored.
# TYPE paidui_cache_fills_total counter
paidui_cache_fills_total{cache="users"} 3
# HELP paidui_cache_hits_total Values that Redis had.
# TYPE paidui_cache_hits_total counter
paidui_cache_hits_total{cache="users"} 1
# HELP paidui_cache_misses_total Reads that found no value cached.
# TYPE paidui_cache_misses_total counter
paidui_cache_misses_total{cache="users"} 3
# HELP paidui_cache_null_hits_total Answers that something is not in the database, without asking it.
# TYPE paidui_cache_null_hits_total counter
paidui_cache_null_hits_total{cache="users"} 1
# HELP paidui_cache_undecodable_total Cached values that did not decode, and were replaced.
# TYPE paidui_cache_undecodable_total counter
paidui_cache_undecodable_total 1
`), "paidui_cache_breaker_open", "paidui_cache_fills_total", "paidui_cache_hits_total", "paidui_cache_misses_total",
		"paidui_cache_null_hits_total", "paidui_cache_undecodable_total"))
	count, err := testutil.GatherAndCount(registry, "paidui_cache_load_seconds")
	require.NoError(t, err)
	require.Equal(t, 1, count)
	_, err = NewStore(rdb, StoreOptions{Registry: registry, Logger: testenv.Quiet()})
	require.ErrorContains(t, err, "metrics", "one store a process")
}
