package cache

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/deploy/testenv"
)

func TestOthersWaitForTheLeaseHolder(t *testing.T) {
	t.Parallel()
	servers(t, func(t *testing.T, rdb redis.UniversalClient) {
		d := newTable(map[int64]user{7: {"Ann"}})
		began, release := d.hold()
		got := make(chan error, 3)
		for range cap(got) { // processes
			s := open(t, rdb)
			s.backends.primary.timeout = time.Minute // the machine may be busy
			c := users(s, d)
			go func() {
				u, err := c.Get(context.Background(), 7)
				if err == nil && u.Name != "Ann" {
					err = errors.New(u.Name)
				}
				got <- err
			}()
		}
		<-began
		time.AfterFunc(50*time.Millisecond, release)
		for range cap(got) {
			require.NoError(t, <-got)
		}
		require.EqualValues(t, 1, d.loads.Load())
	})
}

func TestALeaseHolderWhoDiesHoldsNobodyForLong(t *testing.T) {
	t.Parallel()
	rdb := connect(t, testenv.RedisURL(t))
	c := users(open(t, rdb), newTable(map[int64]user{7: {"Ann"}}))
	e, err := c.entry(7)
	require.NoError(t, err)
	found, err := c.store.getOrLease(t.Context(), []entry{e}, "the dead", []raw{nil})
	require.NoError(t, err)
	require.True(t, found[0].mine)
	got, err := c.Get(t.Context(), 7)
	require.NoError(t, err)
	require.Equal(t, user{"Ann"}, got)
	require.Zero(t, rdb.Exists(t.Context(), key).Val(), "without the lease nothing is stored")
}

func TestBrokenValuesAreReplaced(t *testing.T) {
	t.Parallel()
	servers(t, func(t *testing.T, rdb redis.UniversalClient) {
		c := users(open(t, rdb), newTable(map[int64]user{7: {"Ann"}}))
		for _, poison := range []func() error{
			func() error { return rdb.Set(t.Context(), key, "[not a user", 0).Err() },
			func() error { return rdb.Set(t.Context(), key, "", 0).Err() },
			func() error { return rdb.LPush(t.Context(), key, "a list").Err() },
		} {
			require.NoError(t, rdb.Del(t.Context(), key).Err())
			require.NoError(t, poison())
			got, err := c.Get(t.Context(), 7)
			require.NoError(t, err)
			require.Equal(t, user{"Ann"}, got)
			require.Equal(t, `{"name":"Ann"}`, rdb.Get(t.Context(), key).Val())
		}
	})
}

// TestForeignLeasesHoldNobody has keys where the lease should be that do not end as leases do.
func TestForeignLeasesHoldNobody(t *testing.T) {
	t.Parallel()
	servers(t, func(t *testing.T, rdb redis.UniversalClient) {
		c := users(open(t, rdb), newTable(map[int64]user{7: {"Ann"}}))
		e, err := c.entry(7)
		require.NoError(t, err)
		lease := e.keys("")[1]
		for _, foreign := range []func() error{
			func() error { return rdb.Set(t.Context(), lease, "for ever", 0).Err() },
			func() error { return rdb.Set(t.Context(), lease, "for long", time.Hour).Err() },
			func() error { return rdb.LPush(t.Context(), lease, "a list").Err() },
		} {
			require.NoError(t, rdb.Del(t.Context(), key).Err())
			require.NoError(t, rdb.Del(t.Context(), lease).Err())
			require.NoError(t, foreign())
			got, err := c.Get(t.Context(), 7)
			require.NoError(t, err)
			require.Equal(t, user{"Ann"}, got)
			require.Equal(t, `{"name":"Ann"}`, rdb.Get(t.Context(), key).Val(), "it is cached")
			require.Zero(t, rdb.Exists(t.Context(), lease).Val())
		}
	})
}

func TestAPanicInALoadIsAnError(t *testing.T) {
	t.Parallel()
	rdb := connect(t, testenv.RedisURL(t))
	c := users(open(t, rdb), newTable(nil), func(cfg *Config[int64, user]) {
		cfg.Load = func(context.Context, []int64) (map[int64]user, error) { panic("boom") }
	})
	_, err := c.Get(t.Context(), 7)
	require.ErrorContains(t, err, "boom")
	_, err = c.Refresh(t.Context(), 7)
	require.ErrorContains(t, err, "boom")
	require.Empty(t, rdb.Keys(t.Context(), "*").Val())
}

// TestAFullRedisIsStillRead has a Redis without room for another byte: what it holds is read, and what changed is deleted.
func TestAFullRedisIsStillRead(t *testing.T) {
	t.Parallel()
	rdb := connect(t, testenv.RedisURL(t))
	d := newTable(map[int64]user{7: {"Ann"}, 8: {"Bob"}})
	c := users(open(t, rdb), d)
	_, err := c.Get(t.Context(), 7)
	require.NoError(t, err)
	require.NoError(t, rdb.ConfigSet(t.Context(), "maxmemory", "1").Err())
	for range 2 * failuresToOpen {
		got, err := c.Get(t.Context(), 8)
		require.NoError(t, err)
		require.Equal(t, user{"Bob"}, got)
	}
	before := d.loads.Load()
	_, err = c.Get(t.Context(), 7)
	require.NoError(t, err)
	require.Equal(t, before, d.loads.Load(), "it is a hit")
	c.cfg.Strategy = UpdateOnWrite
	require.NoError(t, c.store.Apply(t.Context(), "task", c.Changes(7)))
	require.Zero(t, rdb.Exists(t.Context(), key).Val(), "what can't be rewritten is taken away")
	require.False(t, c.store.backends.primary.breaker.open())
}

func TestExpiryIsJittered(t *testing.T) {
	t.Parallel()
	cfg := Config[int64, user]{
		Name: "users", Key: formatID[int64], Load: newTable(nil).load, Expiry: 2 * time.Hour, Jitter: 10 * time.Minute,
	}.complete(&Store{})
	for null, least := range map[bool]time.Duration{false: 2 * time.Hour, true: 5 * time.Minute} {
		most := map[bool]time.Duration{false: 130 * time.Minute, true: 6 * time.Minute}[null]
		seen := make(map[time.Duration]bool)
		for range 100 {
			d := cfg.expiry(null)
			require.GreaterOrEqual(t, d, least)
			require.LessOrEqual(t, d, most)
			seen[d] = true
		}
		require.Greater(t, len(seen), 90)
	}
}
