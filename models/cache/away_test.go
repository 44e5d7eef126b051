package cache

import (
	"errors"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/deploy/testenv"
)

func TestLoadErrorsAreReturnedAndNotCached(t *testing.T) {
	t.Parallel()
	rdb := connect(t, testenv.RedisURL(t))
	d := newTable(map[int64]user{7: {"Ann"}})
	c := users(open(t, rdb), d)
	broken := errors.New("no database")
	d.fail(broken)
	_, err := c.Get(t.Context(), 7)
	require.ErrorIs(t, err, broken)
	_, err = c.GetMany(t.Context(), []int64{7, 8})
	require.ErrorIs(t, err, broken)
	_, err = c.Refresh(t.Context(), 7)
	require.ErrorIs(t, err, broken)
	require.Empty(t, rdb.Keys(t.Context(), "*").Val(), "the lease was given up")
	d.fail(nil)
	got, err := c.Get(t.Context(), 7)
	require.NoError(t, err)
	require.Equal(t, user{"Ann"}, got)
}

func TestWithoutRedisReadsAreBoundedLoads(t *testing.T) {
	t.Parallel()
	server := testenv.Redis(t)
	rdb := connect(t, server.URL(0))
	rows := map[int64]user{}
	for id := range int64(50) {
		rows[id] = user{"Ann"}
	}
	d := newTable(rows)
	c := users(open(t, rdb), d)
	server.Stop()
	began, release := d.hold()
	var readers sync.WaitGroup
	for i := range 200 {
		readers.Go(func() {
			if got, err := c.Get(t.Context(), int64(i%50)); err != nil || got.Name != "Ann" {
				t.Errorf("got %v, %v", got, err)
			}
		})
	}
	for range parallelLoads {
		<-began
	}
	require.EqualValues(t, parallelLoads, d.loads.Load(), "no more of them run at once")
	release()
	readers.Wait()

	_, err := c.Refresh(t.Context(), 7)
	require.ErrorIs(t, err, ErrAway)
	require.ErrorIs(t, c.Clear(t.Context(), 7), ErrAway)
	require.ErrorIs(t, c.store.Apply(t.Context(), "task", c.Changes(7)), ErrAway)

	server.Start()
	testenv.Eventually(t, func() bool {
		_, err := c.Get(t.Context(), 7)
		return err == nil && rdb.Exists(t.Context(), key).Val() == 1
	}, "the cache is used again")
}
