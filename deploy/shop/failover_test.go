package shop

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/deploy/testenv"
	"github.com/paidui/paidui/models/cache"
)

// value is a row that is cached.
type value struct {
	mu    sync.Mutex
	now   string
	loads int
}

func (v *value) set(now string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.now = now
}

func (v *value) loaded() int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.loads
}

func (v *value) load(_ context.Context, ids []int64) (map[int64]string, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.loads++
	return map[int64]string{ids[0]: v.now}, nil
}

// process opens the value's cache as a program does, and listens for changes. What the process keeps it keeps for long.
func (v *value) process(t *testing.T, primary, replica string, near int) (*cache.Store, *cache.Cache[int64, string]) {
	t.Helper()
	var c caches
	require.NoError(t, c.connect(t.Context(), primary))
	require.NoError(t, c.openReplica(t.Context(), testenv.Quiet(), primary, replica))
	store, err := cache.NewStore(c.primary, cache.StoreOptions{Replica: c.replica, Logger: testenv.Quiet(), NearExpiry: time.Hour})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	var runs sync.WaitGroup
	runs.Go(func() { _ = store.Run(ctx) }) // nil, always
	t.Cleanup(func() {
		cancel()
		runs.Wait()
		store.Close()
		require.NoError(t, c.primary.Close())
		require.NoError(t, c.replica.Close())
	})
	return store, cache.New(store, cache.Config[int64, string]{
		Name: "values", Key: func(id int64) string { return fmt.Sprint("value:", id) }, Load: v.load, Near: near,
	})
}

// TestReadsGoToTheReplicaUntilThePrimaryIsBack kills the cache's primary. Where a sentinel sees to it, the replica becomes
// the primary; else that is started again, without what it had.
func TestReadsGoToTheReplicaUntilThePrimaryIsBack(t *testing.T) {
	t.Parallel()
	for _, sentinel := range []bool{false, true} {
		t.Run(fmt.Sprintf("sentinel %t", sentinel), func(t *testing.T) {
			t.Parallel()
			primary := testenv.Redis(t)
			replica := testenv.RedisReplica(t, primary)
			cacheURL, replicaURL := primary.URL(2), replica.URL(2)
			back := primary.Start
			if sentinel {
				url := testenv.RedisSentinel(t, primary, 1)
				cacheURL, replicaURL = url+"/2", ""
				back = func() {
					addr, name, _ := strings.Cut(strings.TrimPrefix(url, "redis+sentinel://"), "/")
					admin := redis.NewSentinelClient(&redis.Options{Addr: addr})
					defer func() { require.NoError(t, admin.Close()) }()
					require.NoError(t, admin.Set(t.Context(), name, "down-after-milliseconds", "200").Err()) // 30 s before
				}
			}
			v := &value{now: "first"}
			store, c := v.process(t, cacheURL, replicaURL, 0)
			_, keeper := v.process(t, cacheURL, replicaURL, 1)
			requireValue := func(c *cache.Cache[int64, string], want string) {
				t.Helper()
				got, err := c.Get(t.Context(), 7)
				require.NoError(t, err)
				require.Equal(t, want, got)
			}
			requireValue(c, "first")
			requireValue(keeper, "first")
			testenv.AwaitReplica(t, primary, replica)
			loads := v.loaded()

			primary.Kill()
			for range 20 {
				requireValue(c, "first")
				require.NoError(t, store.Read(t.Context(), func(ctx context.Context, rdb redis.UniversalClient) error {
					return redis.NewScript(`return redis.call('GET', KEYS[1])`).Run(ctx, rdb, []string{"value:7"}).Err()
				}))
			}
			require.Equal(t, loads, v.loaded(), "the replica answers")
			v.set("second")
			require.ErrorIs(t, store.Apply(t.Context(), "task", c.Changes(7)), cache.ErrAway)

			back()
			require.Eventually(t, func() bool { return store.Apply(t.Context(), "task", c.Changes(7)) == nil },
				time.Minute, 20*time.Millisecond)
			require.Eventually(t, func() bool { got, err := c.Get(t.Context(), 7); return err == nil && got == "second" },
				20*time.Second, 20*time.Millisecond)
			require.Eventually(t, func() bool { got, err := keeper.Get(t.Context(), 7); return err == nil && got == "second" },
				20*time.Second, 20*time.Millisecond, "it hears again, and takes all for changed")
			require.Eventually(t, func() bool { return store.Redis().Exists(t.Context(), "value:7").Val() == 1 },
				20*time.Second, 20*time.Millisecond)
		})
	}
}
