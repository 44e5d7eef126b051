package cache

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/deploy/testenv"
)

func TestGetFillsOnceAndThenHits(t *testing.T) {
	t.Parallel()
	servers(t, func(t *testing.T, rdb redis.UniversalClient) {
		d := newTable(map[int64]user{7: {"Ann"}})
		c := users(open(t, rdb), d)
		for range 3 {
			got, err := c.Get(t.Context(), 7)
			require.NoError(t, err)
			require.Equal(t, user{"Ann"}, got)
			require.Equal(t, `{"name":"Ann"}`, rdb.Get(t.Context(), key).Val())
			_, err = c.Get(t.Context(), 8)
			require.ErrorIs(t, err, ErrNull)
			require.ErrorContains(t, err, "users 8")
			require.Equal(t, "-1", rdb.Get(t.Context(), "user:8:profile").Val())
		}
		require.EqualValues(t, 2, d.loads.Load())
		require.Zero(t, rdb.Exists(t.Context(), "paidui:cache:{user:7:profile}:lease").Val())

		d.set(7, "Bob")
		require.NoError(t, c.Clear(t.Context(), 7))
		got, err := c.Get(t.Context(), 7)
		require.NoError(t, err)
		require.Equal(t, user{"Bob"}, got)

		d.set(7, "Cid")
		n, err := c.Refresh(t.Context(), 7, 8)
		require.NoError(t, err)
		require.Equal(t, 2, n)
		require.Equal(t, `{"name":"Cid"}`, rdb.Get(t.Context(), key).Val())
		exists, err := c.Exists(t.Context(), 8)
		require.NoError(t, err)
		require.False(t, exists)
	})
}

func TestGetManyTakesOneLoadForAllMisses(t *testing.T) {
	t.Parallel()
	servers(t, func(t *testing.T, rdb redis.UniversalClient) {
		d := newTable(map[int64]user{})
		var ids []int64
		for id := range int64(50) {
			ids = append(ids, id, id)
			if id%5 > 0 {
				d.set(id, fmt.Sprint("user ", id))
			}
		}
		c := users(open(t, rdb), d)
		_, err := c.Get(t.Context(), 7)
		require.NoError(t, err)
		for range 2 {
			got, err := c.GetMany(t.Context(), ids)
			require.NoError(t, err)
			require.Len(t, got, 40)
			require.Equal(t, user{"user 7"}, got[7])
			require.EqualValues(t, 2, d.loads.Load())
			require.EqualValues(t, 50, d.asked.Load())
		}
	})
}

func TestGetManyTakesOneRoundTripForAllHits(t *testing.T) {
	t.Parallel()
	rows, ids := make(map[int64]user), make([]int64, batch)
	for i := range ids {
		ids[i], rows[int64(i)] = int64(i), user{"Ann"}
	}
	rdb := connect(t, testenv.RedisURL(t))
	s := open(t, rdb)
	s.backends.primary.timeout = time.Minute // the machine may be busy
	c := users(s, newTable(rows))
	_, err := c.GetMany(t.Context(), ids)
	require.NoError(t, err)
	var sent trips
	rdb.AddHook(&sent)
	got, err := c.GetMany(t.Context(), ids)
	require.NoError(t, err)
	require.Equal(t, rows, got)
	require.EqualValues(t, 1, sent.commands.Load())
	require.Zero(t, sent.pipelines.Load())
}

func TestALateFillIsRefusedAndReadAgain(t *testing.T) {
	t.Parallel()
	servers(t, func(t *testing.T, rdb redis.UniversalClient) {
		d := newTable(map[int64]user{7: {"old"}})
		reader := users(open(t, rdb), d)
		writer := users(open(t, rdb), d) // of another process
		began, release := d.hold()
		got := make(chan user, 1)
		go func() {
			u, err := reader.Get(context.Background(), 7)
			if err != nil {
				t.Error(err)
			}
			got <- u
		}()
		<-began
		d.set(7, "new")
		require.NoError(t, writer.store.Apply(t.Context(), "task", writer.Changes(7)))
		release()
		require.Equal(t, user{"new"}, <-got, "what it returns was true when it filled")
		require.Equal(t, `{"name":"new"}`, rdb.Get(t.Context(), key).Val())
		require.EqualValues(t, 1, testutil.ToFloat64(reader.counts.refused))
	})
}

func TestAChangeIsAppliedOnce(t *testing.T) {
	t.Parallel()
	servers(t, func(t *testing.T, rdb redis.UniversalClient) {
		for _, strategy := range []Strategy{DeleteOnWrite, UpdateOnWrite, DeleteOnWrite | UpdateOnWrite, Periodic} {
			require.NoError(t, rdb.FlushAll(t.Context()).Err())
			d := newTable(map[int64]user{7: {"old"}})
			c := users(open(t, rdb), d, func(cfg *Config[int64, user]) { cfg.Strategy = strategy })
			_, err := c.Get(t.Context(), 7)
			require.NoError(t, err)
			d.set(7, "new")
			require.NoError(t, c.store.Apply(t.Context(), "task", c.Changes(7)))
			want := map[Strategy]string{0: "", UpdateOnWrite: `{"name":"new"}`, Periodic: `{"name":"old"}`}
			require.Equal(t, want[strategy&^DeleteOnWrite], rdb.Get(t.Context(), key).Val(), strategy)
			if strategy == Periodic {
				continue
			}
			rdb.Set(t.Context(), key, `{"name":"newer"}`, time.Minute)
			require.NoError(t, c.store.Apply(t.Context(), "task", c.Changes(7)))
			require.Equal(t, `{"name":"newer"}`, rdb.Get(t.Context(), key).Val(), "the task found it done")
			require.NoError(t, c.store.Apply(t.Context(), "task 2", c.Changes(7)))
			require.NotEqual(t, `{"name":"newer"}`, rdb.Get(t.Context(), key).Val())
		}
	})
}
