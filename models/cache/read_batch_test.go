package cache

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/deploy/testenv"
)

func TestReadsGetTheirOwnReplies(t *testing.T) {
	t.Parallel()
	rdb := connect(t, testenv.RedisURL(t))
	for i := range 100 {
		require.NoError(t, rdb.Set(t.Context(), fmt.Sprint("k", i), i, 0).Err())
	}
	require.NoError(t, rdb.LPush(t.Context(), "list", "no string").Err())
	before := commands(t, rdb)
	r := newReads(testBackends(t, rdb, nil).fetch)
	const readers, each = 100, 50
	var all sync.WaitGroup
	for reader := range readers {
		all.Go(func() {
			for i := range each {
				n := (reader + i) % 120
				got := r.get(t.Context(), fmt.Sprint("k", n))
				if got.err != nil || got.degraded || (got.value == nil) != (n >= 100) || n < 100 && string(got.value) != strconv.Itoa(n) {
					t.Errorf("k%d: %+v", n, got)
				}
			}
		})
	}
	all.Wait()
	require.Less(t, commands(t, rdb)-before, int64(readers*each/2), "they share round trips")
	got := r.get(t.Context(), "list")
	require.NoError(t, got.err)
	require.Nil(t, got.value)
}

func commands(t *testing.T, rdb redis.UniversalClient) int64 {
	t.Helper()
	text, err := rdb.Info(t.Context(), "stats").Result()
	require.NoError(t, err)
	_, rest, ok := strings.Cut(text, "total_commands_processed:")
	require.True(t, ok)
	n, err := strconv.ParseInt(strings.TrimSpace(strings.SplitN(rest, "\n", 2)[0]), 10, 64)
	require.NoError(t, err)
	return n
}

func TestAKeyThatSeveralWantIsAskedForOnce(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	var mu sync.Mutex
	var batches [][]string
	r := newReads(func(_ context.Context, keys []string) []reply {
		mu.Lock()
		batches = append(batches, slices.Clone(keys))
		mu.Unlock()
		<-release
		return make([]reply, len(keys))
	})
	var all sync.WaitGroup
	for range readsInFlight { // as many as may be are under way
		all.Go(func() { r.get(t.Context(), "first") })
		require.Eventually(t, func() bool { mu.Lock(); defer mu.Unlock(); return len(batches) > 0 }, 20*time.Second, time.Millisecond)
	}
	require.Eventually(t, func() bool { mu.Lock(); defer mu.Unlock(); return len(batches) == readsInFlight }, 20*time.Second, time.Millisecond)
	for i := range 100 {
		all.Go(func() { r.get(t.Context(), fmt.Sprint("k", i%2)) })
	}
	require.Eventually(t, func() bool { waiting, _ := r.batches.Load(); return waiting == 100 }, 20*time.Second, time.Millisecond)
	close(release)
	all.Wait()
	require.Len(t, batches, readsInFlight+1)
	require.ElementsMatch(t, []string{"k0", "k1"}, batches[readsInFlight])
}

func TestAReaderLeavesWithItsContext(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	r := newReads(func(_ context.Context, keys []string) []reply {
		<-release
		return make([]reply, len(keys))
	})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, r.get(ctx, "k").err, context.Canceled)
	close(release)
	require.NoError(t, r.get(t.Context(), "k").err)
}

func TestAFrozenServerHoldsNoReaderForLong(t *testing.T) {
	t.Parallel()
	proxy := testenv.NewProxy(t, testenv.Redis(t).Addr)
	r := newReads(testBackends(t, connect(t, proxy.URL(0)), nil).fetch)
	require.NoError(t, r.get(t.Context(), "k").err)
	proxy.Stall(true)
	defer proxy.Stall(false)
	var most atomic.Int64
	var all sync.WaitGroup
	for range 200 {
		all.Go(func() {
			for range 5 {
				began := time.Now()
				if got := r.get(context.Background(), "k"); !errors.Is(got.err, ErrAway) || !got.degraded {
					t.Errorf("%+v", got)
				}
				took := int64(time.Since(began))
				for old := most.Load(); took > old && !most.CompareAndSwap(old, took); old = most.Load() {
				}
			}
		})
	}
	all.Wait()
	require.Less(t, time.Duration(most.Load()), 10*accessTimeout)
}

func BenchmarkReads(b *testing.B) {
	rdb := connect(b, testenv.RedisURL(b))
	require.NoError(b, rdb.Set(b.Context(), "k", strings.Repeat("v", 300), 0).Err())
	m, err := newStoreMetrics(nil)
	require.NoError(b, err)
	r := newReads(newBackends(rdb, StoreOptions{Timeout: accessTimeout, Logger: testenv.Quiet()}, m).fetch)
	for _, keys := range []int{1, 1000} {
		for i := range keys {
			require.NoError(b, rdb.Set(b.Context(), fmt.Sprint("k", i), strings.Repeat("v", 300), 0).Err())
		}
		for name, get := range map[string]func(ctx context.Context, key string) error{
			"coalesced": func(ctx context.Context, key string) error { return r.get(ctx, key).err },
			"plain":     func(ctx context.Context, key string) error { return rdb.Get(ctx, key).Err() },
		} {
			b.Run(fmt.Sprintf("%s/keys=%d", name, keys), func(b *testing.B) {
				b.SetParallelism(64)
				b.ReportAllocs()
				var n atomic.Int64
				b.RunParallel(func(pb *testing.PB) {
					for pb.Next() {
						if err := get(context.Background(), fmt.Sprint("k", n.Add(1)%int64(keys))); err != nil {
							b.Fatal(err)
						}
					}
				})
			})
		}
	}
}
