package broker_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/deploy/testenv"
	"github.com/paidui/paidui/tasks/broker"
	"github.com/paidui/paidui/tasks/broker/internal/brokertest"
)

func TestQueueStats(t *testing.T) { brokertest.OnSingle(t, queueStats) }

func queueStats(t *testing.T, url string) {
	b := brokertest.Open(t, url)
	ctx, rdb := t.Context(), b.Redis()
	list, err := b.QueueStats(ctx, nil)
	require.NoError(t, err)
	require.Empty(t, list)

	for i, state := range []string{"pending", "high", "low", "active", "scheduled", "retry", "archived", "completed"} {
		for n := range i + 1 {
			id := fmt.Sprintf("%s-%d", state, n)
			brokertest.Enqueue(t, b, brokertest.Message("q", id))
			become(t, rdb, id, state)
		}
	}
	brokertest.Enqueue(t, b, brokertest.Message("other", "1"))
	names, err := b.QueueNames(ctx)
	require.NoError(t, err)
	require.Equal(t, []string{"other", "q"}, names)
	list, err = b.QueueStats(ctx, []string{"q", "nobody", "other"})
	require.NoError(t, err)
	q := list[0]
	require.Equal(t, []any{"q", 1, 2, 3, 4, 5, 6, 7, 8}, []any{q.Name, q.Normal, q.High, q.Low, q.Active, q.Scheduled, q.Retry, q.Dead, q.Completed})
	require.Nil(t, q.Paused)
	require.Positive(t, q.Memory)
	require.Equal(t, []int{36, 0, 0}, []int{q.InLastMinute, q.OutLastMinute, q.Workers})
	require.Equal(t, broker.QueueStats{Name: "nobody"}, list[1])
	require.Equal(t, 1, list[2].Normal)
}

// TestOldestWait: of tasks on lists since when they wait, of those that are due since when they are.
func TestOldestWait(t *testing.T) {
	brokertest.OnSingle(t, func(t *testing.T, url string) {
		b := brokertest.Open(t, url)
		rdb := b.Redis()
		oldest := func() time.Duration {
			t.Helper()
			list, err := b.QueueStats(t.Context(), []string{"q"})
			require.NoError(t, err)
			return list[0].Oldest
		}
		within := func(want time.Duration) { t.Helper(); require.InDelta(t, want.Seconds(), oldest().Seconds(), 20) }
		ago := func(d time.Duration) int64 { return time.Now().Add(-d).UnixNano() }
		require.Zero(t, oldest())
		later := brokertest.Message("q", "later")
		later.At = time.Now().Add(time.Hour).Truncate(time.Second)
		brokertest.Enqueue(t, b, later)
		require.Zero(t, oldest(), "what is not due does not wait")
		brokertest.Enqueue(t, b, brokertest.Message("q", "a"), brokertest.Message("q", "b"))
		give(t, rdb, "a", "pending_since", ago(time.Minute))
		within(time.Minute)
		give(t, rdb, "b", "pending_since", ago(2*time.Minute)) // it was put back behind the other
		within(2 * time.Minute)
		become(t, rdb, "b", "low")
		within(2 * time.Minute)
		give(t, rdb, "b", "state", "completed") // it was revoked, and its id is still on the list
		within(time.Minute)
		due := func(set string, since time.Duration) {
			require.NoError(t, rdb.ZAdd(t.Context(), brokertest.Key("q", set), redis.Z{Member: "later", Score: float64(time.Now().Add(-since).Unix())}).Err())
		}
		due("retry", time.Hour)
		within(time.Hour)
		due("scheduled", 2*time.Hour) // nobody moves it
		within(2 * time.Hour)
	})
}

func TestRates(t *testing.T) {
	brokertest.OnSingle(t, func(t *testing.T, url string) {
		b := brokertest.Open(t, url)
		w := brokertest.NewWorker(t, b, 4, map[string]int{"q": 1})
		brokertest.Enqueue(t, b, brokertest.Numbered("q", 30)...)
		refused := b.Enqueue(t.Context(), brokertest.Message("q", "1"))[0]
		require.Equal(t, broker.Taken, refused.Outcome)
		for range 7 {
			_, id := w.MustNext()
			require.NoError(t, w.Done(t.Context(), "q", id))
		}
		list, err := b.QueueStats(t.Context(), []string{"q"})
		require.NoError(t, err)
		require.Equal(t, []int{30, 7}, []int{list[0].InLastMinute, list[0].OutLastMinute})
		require.Equal(t, 1, list[0].Workers)

		second := time.Now().Unix()
		set := func(back int64, n int) {
			require.NoError(t, b.Redis().Set(t.Context(), fmt.Sprintf("paidui:{q}:rate:in:%d", second/20-back), n, 0).Err())
		}
		for back := range int64(5) {
			set(back-1, 10) // and one to come, in case that twenty seconds end now
		}
		set(4, 1_000_000) // over a minute ago
		list, err = b.QueueStats(t.Context(), []string{"q"})
		require.NoError(t, err)
		require.InDelta(t, 35, list[0].InLastMinute, 5)
		keys, err := b.Redis().Keys(t.Context(), "paidui:{q}:rate:out:*").Result()
		require.NoError(t, err)
		for _, key := range keys {
			require.Positive(t, b.Redis().TTL(t.Context(), key).Val(), "%s does not stay", key)
		}
	})
}

func TestManyQueues(t *testing.T) {
	t.Parallel()
	b := brokertest.Open(t, testenv.RedisURL(t))
	const queues = 1000
	var names []string
	var messages []*broker.Message
	for i := range queues {
		names = append(names, fmt.Sprintf("queue-%04d", i))
		for n := range 3 {
			m := brokertest.Message(names[i], fmt.Sprintf("%d-%d", i, n))
			if n == 1 {
				m.At = time.Now().Add(time.Hour)
			}
			messages = append(messages, m)
		}
	}
	brokertest.Enqueue(t, b, messages...)
	got, err := b.QueueNames(t.Context())
	require.NoError(t, err)
	require.Equal(t, names, got)
	begun := time.Now()
	list, err := b.QueueStats(t.Context(), got)
	require.NoError(t, err)
	t.Logf("%d queues in %v", queues, time.Since(begun))
	for i, q := range list {
		require.Equal(t, []any{names[i], 2, 1}, []any{q.Name, q.Normal, q.Scheduled})
	}
}

func TestPause(t *testing.T) { brokertest.OnSingle(t, pause) }

func pause(t *testing.T, url string) {
	b := brokertest.Open(t, url)
	ctx := t.Context()
	inspector := asynq.NewInspectorFromRedisClient(b.Redis())
	brokertest.Enqueue(t, b, brokertest.Message("q", "1"))
	paused := func() *broker.Pause {
		t.Helper()
		list, err := b.QueueStats(ctx, []string{"q"})
		require.NoError(t, err)
		info, err := inspector.GetQueueInfo("q")
		require.NoError(t, err)
		is, err := b.IsPaused(ctx, "q")
		require.NoError(t, err)
		require.Equal(t, []bool{is, is}, []bool{info.Paused, list[0].Paused != nil}, "asynq agrees")
		return list[0].Paused
	}
	was, err := b.Resume(ctx, "q")
	require.NoError(t, err)
	require.False(t, was)
	require.Nil(t, paused())

	first, isFirst, err := b.Pause(ctx, "q", "alice")
	require.NoError(t, err)
	require.True(t, isFirst)
	require.Equal(t, "alice", first.By)
	require.WithinDuration(t, time.Now(), first.Since, brokertest.Patience)
	again, isFirst, err := b.Pause(ctx, "q", "bob")
	require.NoError(t, err)
	require.False(t, isFirst)
	require.Equal(t, first, again)
	require.Equal(t, &first, paused())
	require.Error(t, inspector.PauseQueue("q"))

	require.NoError(t, inspector.UnpauseQueue("q"), "asynq resumes, and leaves our note")
	require.Nil(t, paused())
	mark := time.Now().Add(-time.Hour).Unix()
	require.NoError(t, b.Redis().Set(ctx, brokertest.Key("q", "paused"), mark, 0).Err())
	require.Equal(t, &broker.Pause{Since: time.Unix(mark, 0)}, paused(), "asynq has paused it: nobody knows who")
	pause, isFirst, err := b.Pause(ctx, "q", "bob")
	require.NoError(t, err)
	require.False(t, isFirst)
	require.Equal(t, broker.Pause{Since: time.Unix(mark, 0)}, pause)
	was, err = b.Resume(ctx, "q")
	require.NoError(t, err)
	require.True(t, was)
	require.Zero(t, b.Redis().Exists(ctx, "paidui:{q}:paused_by", brokertest.Key("q", "paused")).Val())
}

// TestStatsWhereRedisDoesNotTellMemory: everything else is told.
func TestStatsWhereRedisDoesNotTellMemory(t *testing.T) {
	t.Parallel()
	server := testenv.Redis(t)
	b := brokertest.Open(t, brokertest.Limited(t, server, "~*", "+@all", "-memory"))
	brokertest.Enqueue(t, b, brokertest.Numbered("q", 3)...)
	list, err := b.QueueStats(t.Context(), []string{"q", "nobody"})
	require.NoError(t, err)
	require.Equal(t, []any{3, int64(-1), int64(-1)}, []any{list[0].Normal, list[0].Memory, list[1].Memory})
}
