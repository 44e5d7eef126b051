package broker_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/deploy/testenv"
	"github.com/paidui/paidui/tasks/broker"
	"github.com/paidui/paidui/tasks/broker/internal/brokertest"
)

// purge purges queue q, and tells which tasks ended and how many ids were taken off, by state.
func purge(t testing.TB, b *broker.Broker, states ...string) (ended map[string][]string, taken map[string]int) {
	t.Helper()
	ended, taken = make(map[string][]string), make(map[string]int)
	err := b.Purge(t.Context(), "q", "purged", set(states), func(state string, n int, tasks []*broker.StoredTask) error {
		taken[state] += n
		for _, task := range tasks {
			require.Equal(t, []any{"q", "t", state}, []any{task.Queue, task.Task, task.State})
			ended[state] = append(ended[state], task.ID)
		}
		return nil
	})
	require.NoError(t, err)
	return ended, taken
}

func set(states []string) map[string]bool {
	m := make(map[string]bool)
	for _, state := range states {
		m[state] = true
	}
	return m
}

func TestPurge(t *testing.T) { brokertest.OnSingle(t, purgeEachState) }

func purgeEachState(t *testing.T, url string) {
	b := brokertest.Open(t, url)
	rdb := b.Redis()
	heard := listen(t, rdb, "paidui:events")
	states := []string{"pending", "high", "low", "scheduled", "retry", "archived", "completed", "active"}
	for _, state := range states {
		m := brokertest.Message("q", state)
		m.UniqueFor, m.Retention = time.Hour, 10*time.Minute
		brokertest.Enqueue(t, b, m)
		become(t, rdb, state, state)
		give(t, rdb, state, "tags", "a b", "watch", "1")
	}
	ended, taken := purge(t, b)
	require.Empty(t, ended)
	require.Empty(t, taken)
	ended, taken = purge(t, b, "active", "nonsense")
	require.Empty(t, taken, "what runs is left alone")
	require.Empty(t, ended)

	ended, _ = purge(t, b, "scheduled")
	require.Equal(t, map[string][]string{"scheduled": {"scheduled"}}, ended)
	require.Equal(t, ".scheduled", heard())
	ended, _ = purge(t, b, "retry")
	require.Equal(t, map[string][]string{"retry": {"retry"}}, ended)
	require.Equal(t, ".retry", heard())
	ended, _ = purge(t, b, "pending")
	require.Equal(t, map[string][]string{"pending": {"high", "pending", "low"}}, ended)
	for _, state := range states[:5] {
		task, err := b.Find(t.Context(), "q", state)
		require.NoError(t, err)
		require.Equal(t, []any{"completed", "!REVOKED purged", strconv.Quote(state)}, []any{task.State, string(task.Result), string(task.Payload)})
		require.False(t, task.CompletedAt.IsZero())
		require.InDelta(t, time.Now().Add(time.Hour).Unix(), rdb.ZScore(t.Context(), brokertest.Key("q", "completed"), state).Val(), 20)
		again := brokertest.Message("q", "again-"+state)
		again.Payload, again.UniqueFor = task.Payload, time.Hour
		require.Equal(t, broker.Made, b.Enqueue(t.Context(), again)[0].Outcome, "the uniqueness is free")
		require.Equal(t, broker.Taken, b.Enqueue(t.Context(), brokertest.Message("q", state))[0].Outcome, "the id is taken")
	}
	ended, _ = purge(t, b, "archived", "completed", "pending")
	require.ElementsMatch(t, slices.Concat(states[:5], []string{"completed"}), ended["completed"])
	require.Equal(t, []string{"archived"}, ended["archived"])
	require.Len(t, ended["pending"], 5)
	for _, state := range states[:7] {
		task, err := b.Find(t.Context(), "q", state)
		require.NoError(t, err)
		require.Nil(t, task, state)
	}
	require.Equal(t, "active", rdb.HGet(t.Context(), brokertest.Key("q", "t:active"), "state").Val())
	require.Equal(t, []string{"active"}, rdb.SMembers(t.Context(), "paidui:{q}:tag:a").Val())
}

// TestPurgeGoesInBatches: bounded by tasks and by bytes, in the order in which they would run.
func TestPurgeGoesInBatches(t *testing.T) {
	brokertest.OnSingle(t, func(t *testing.T, url string) {
		b := brokertest.Open(t, url)
		messages := brokertest.Numbered("q", 1000)
		for _, m := range messages[500:510] {
			m.Payload = []byte(strconv.Quote(strings.Repeat("x", 700_000)))
		}
		brokertest.Enqueue(t, b, messages...)
		var batches, ids []string
		require.NoError(t, b.Purge(t.Context(), "q", "x", set([]string{"pending"}), func(state string, n int, tasks []*broker.StoredTask) error {
			batches = append(batches, strconv.Itoa(n))
			for _, task := range tasks {
				ids = append(ids, task.ID)
			}
			return nil
		}))
		require.Equal(t, "200 200 102 2 2 2 2 200 200 90", strings.Join(batches, " "))
		for i, id := range ids {
			require.Equal(t, strconv.Itoa(i), id)
		}
		require.Empty(t, brokertest.PendingIDs(t, b.Redis(), "q"))
	})
}

// TestPurgeTakesWhatIsThereAsItBegins: a producer does not keep it going.
func TestPurgeTakesWhatIsThereAsItBegins(t *testing.T) {
	brokertest.OnSingle(t, func(t *testing.T, url string) {
		b := brokertest.Open(t, url)
		brokertest.Enqueue(t, b, brokertest.Numbered("q", 450)...)
		more := 0
		require.NoError(t, b.Purge(t.Context(), "q", "x", set([]string{"pending"}), func(string, int, []*broker.StoredTask) error {
			for range 200 {
				brokertest.Enqueue(t, b, brokertest.Message("q", fmt.Sprint("more-", more)))
				more++
			}
			return nil
		}))
		left := brokertest.PendingIDs(t, b.Redis(), "q")
		require.Len(t, left, more)
		require.Equal(t, "more-0", left[0])
	})
}

func TestPurgeOfIDsWithoutTheirTasks(t *testing.T) {
	brokertest.OnSingle(t, func(t *testing.T, url string) {
		b := brokertest.Open(t, url)
		rdb := b.Redis()
		brokertest.Enqueue(t, b, brokertest.Numbered("q", 4)...)
		require.NoError(t, rdb.Del(t.Context(), brokertest.Key("q", "t:0"), brokertest.Key("q", "t:1")).Err())
		require.NoError(t, rdb.Set(t.Context(), brokertest.Key("q", "t:1"), "another's", 0).Err())
		give(t, rdb, "2", "state", "active") // a stray id of a task that runs
		ended, taken := purge(t, b, "pending")
		require.Equal(t, []string{"3"}, ended["pending"])
		require.Equal(t, 4, taken["pending"])
		require.Equal(t, "active", rdb.HGet(t.Context(), brokertest.Key("q", "t:2"), "state").Val())
		require.Equal(t, "another's", rdb.Get(t.Context(), brokertest.Key("q", "t:1")).Val())
	})
}

func TestPurgeEndsEarly(t *testing.T) {
	brokertest.OnSingle(t, func(t *testing.T, url string) {
		b := brokertest.Open(t, url)
		brokertest.Enqueue(t, b, brokertest.Numbered("q", 500)...)
		enough := errors.New("enough")
		err := b.Purge(t.Context(), "q", "x", set([]string{"pending"}), func(string, int, []*broker.StoredTask) error { return enough })
		require.ErrorIs(t, err, enough)
		require.Len(t, brokertest.PendingIDs(t, b.Redis(), "q"), 300)
		ctx, cancel := context.WithCancel(t.Context())
		err = b.Purge(ctx, "q", "x", set([]string{"pending"}), func(string, int, []*broker.StoredTask) error { cancel(); return nil })
		require.ErrorIs(t, err, context.Canceled)
		require.Len(t, brokertest.PendingIDs(t, b.Redis(), "q"), 100)
		_, taken := purge(t, b, "pending")
		require.Equal(t, 100, taken["pending"])
	})
}

// TestRedisGoesInTheMiddleOfAPurge: what it has done it has done, and the same call again takes the rest.
func TestRedisGoesInTheMiddleOfAPurge(t *testing.T) {
	t.Parallel()
	server := testenv.Redis(t, testenv.WithArgs("--appendonly", "yes", "--appendfsync", "always"))
	b := brokertest.Open(t, server.URL(0))
	brokertest.Enqueue(t, b, brokertest.Numbered("q", 1000)...)
	first := 0
	err := b.Purge(t.Context(), "q", "x", set([]string{"pending"}), func(_ string, _ int, tasks []*broker.StoredTask) error {
		if first += len(tasks); first == 400 {
			server.Kill()
		}
		return nil
	})
	require.Error(t, err)
	require.Equal(t, 400, first)
	server.Start()
	require.Eventually(t, func() bool { return b.Ping(t.Context()) == nil }, brokertest.Patience, time.Millisecond)
	ended, _ := purge(t, b, "pending")
	require.Len(t, ended["pending"], 600)
	require.EqualValues(t, 1000, b.Redis().ZCard(t.Context(), brokertest.Key("q", "completed")).Val())
}

// TestPurgeOnAFullRedis: that is when one wants to.
func TestPurgeOnAFullRedis(t *testing.T) {
	t.Parallel()
	b := brokertest.Open(t, testenv.RedisURL(t))
	brokertest.Enqueue(t, b, brokertest.Numbered("q", 300)...)
	become(t, b.Redis(), "0", "archived")
	require.NoError(t, b.Redis().ConfigSet(t.Context(), "maxmemory", "1").Err())
	ended, _ := purge(t, b, "pending", "archived")
	require.Equal(t, []int{299, 1}, []int{len(ended["pending"]), len(ended["archived"])})
	require.EqualValues(t, 299, b.Redis().ZCard(t.Context(), brokertest.Key("q", "completed")).Val())
	_, first, err := b.Pause(t.Context(), "q", "me")
	require.NoError(t, err)
	require.True(t, first)
	was, err := b.Resume(t.Context(), "q")
	require.NoError(t, err)
	require.True(t, was)
	require.NoError(t, b.Redis().ConfigSet(t.Context(), "maxmemory", "0").Err())
	ended, _ = purge(t, b, "completed")
	require.Len(t, ended["completed"], 299)
}
