package broker_test

import (
	"context"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/deploy/testenv"
	"github.com/paidui/paidui/tasks/broker"
	"github.com/paidui/paidui/tasks/broker/internal/brokertest"
)

// give adds what the task's hash has of ours, and its tags.
func give(t testing.TB, rdb redis.UniversalClient, id string, fields ...any) {
	t.Helper()
	require.NoError(t, rdb.HSet(t.Context(), brokertest.Key("q", "t:"+id), fields...).Err())
	for i := 0; i < len(fields); i += 2 {
		if fields[i] == "tags" {
			for tag := range strings.FieldsSeq(fields[i+1].(string)) {
				require.NoError(t, rdb.SAdd(t.Context(), "paidui:{q}:tag:"+tag, id).Err())
			}
		}
	}
}

// become puts a pending task of queue q where those of the state are, as its life would have.
func become(t testing.TB, rdb redis.UniversalClient, id, state string) {
	t.Helper()
	ctx := t.Context()
	require.NoError(t, rdb.LRem(ctx, brokertest.Key("q", "pending"), 0, id).Err())
	switch state {
	case "high", "low":
		require.NoError(t, rdb.LPush(ctx, "paidui:{q}:"+state, id).Err())
		give(t, rdb, id, "prio", state)
		return
	case "pending":
		require.NoError(t, rdb.LPush(ctx, brokertest.Key("q", state), id).Err())
	case "active":
		require.NoError(t, rdb.LPush(ctx, brokertest.Key("q", state), id).Err())
		require.NoError(t, rdb.ZAdd(ctx, brokertest.Key("q", "lease"), redis.Z{Member: id, Score: float64(time.Now().Add(time.Hour).Unix())}).Err())
	case "archived":
		require.NoError(t, rdb.ZAdd(ctx, brokertest.Key("q", state), redis.Z{Member: id, Score: float64(time.Now().Unix())}).Err())
	default:
		require.NoError(t, rdb.ZAdd(ctx, brokertest.Key("q", state), redis.Z{Member: id, Score: float64(time.Now().Add(time.Hour).Unix())}).Err())
	}
	give(t, rdb, id, "state", state)
}

// listen collects what is published on a channel.
func listen(t testing.TB, rdb redis.UniversalClient, channel string) (heard func() string) {
	t.Helper()
	sub := rdb.Subscribe(t.Context(), channel)
	_, err := sub.Receive(t.Context())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, sub.Close()) })
	return func() string {
		select {
		case m := <-sub.Channel():
			return m.Payload
		case <-time.After(brokertest.Patience):
			return "nothing"
		}
	}
}

func TestRevokeWhatWaits(t *testing.T) { brokertest.OnSingle(t, revokeWhatWaits) }

func revokeWhatWaits(t *testing.T, url string) {
	b := brokertest.Open(t, url)
	rdb := b.Redis()
	heard := listen(t, rdb, "paidui:events")
	for _, state := range []string{"pending", "high", "low", "scheduled", "retry"} {
		m := brokertest.Message("q", state)
		m.UniqueFor, m.Retention = time.Hour, 10*time.Minute
		brokertest.Enqueue(t, b, m, brokertest.Message("q", "other-"+state))
		become(t, rdb, state, state)
		give(t, rdb, state, "tags", "a b", "watch", "1")

		begun := time.Now().Truncate(time.Second)
		got, err := b.Revoke(t.Context(), "q", state, "by hand", false)
		require.NoError(t, err)
		require.Equal(t, broker.Revoked, got.Outcome)
		require.Equal(t, []string{"q", state, "a", "b"}, append([]string{got.Task.Queue, got.Task.ID}, got.Task.Tags...))
		require.Equal(t, "."+state, heard())
		brokertest.RequireSound(t, rdb, "pending", "high", "low", "scheduled", "retry", "other-pending", "other-high", "other-low",
			"other-scheduled", "other-retry")

		seen, err := asynq.NewInspectorFromRedisClient(rdb).GetTaskInfo("q", state)
		require.NoError(t, err)
		require.Equal(t, asynq.TaskStateCompleted, seen.State)
		require.Equal(t, "!REVOKED by hand", string(seen.Result))
		require.Equal(t, strconv.Quote(state), string(seen.Payload))
		require.False(t, seen.CompletedAt.Before(begun), seen.CompletedAt)
		until := rdb.ZScore(t.Context(), brokertest.Key("q", "completed"), state).Val()
		require.InDelta(t, begun.Add(10*time.Minute).Unix(), until, 20)

		again := brokertest.Message("q", "again-"+state)
		again.Payload, again.UniqueFor = m.Payload, time.Hour
		require.Equal(t, broker.Made, b.Enqueue(t.Context(), again)[0].Outcome, "the uniqueness is free")
		require.NoError(t, asynq.NewInspectorFromRedisClient(rdb).DeleteTask("q", again.ID))
		require.Equal(t, broker.Taken, b.Enqueue(t.Context(), brokertest.Message("q", state))[0].Outcome, "the id is taken")
	}
}

func TestRevokeKeepsATraceOfATaskWithoutRetention(t *testing.T) {
	brokertest.OnSingle(t, func(t *testing.T, url string) {
		b := brokertest.Open(t, url)
		brokertest.Enqueue(t, b, brokertest.Message("q", "1"))
		_, err := b.Revoke(t.Context(), "q", "1", "x", false)
		require.NoError(t, err)
		until := b.Redis().ZScore(t.Context(), brokertest.Key("q", "completed"), "1").Val()
		require.InDelta(t, time.Now().Add(time.Hour).Unix(), until, 20)
	})
}

func TestRevokeLeavesTheUniquenessOfOthers(t *testing.T) {
	brokertest.OnSingle(t, func(t *testing.T, url string) {
		b := brokertest.Open(t, url)
		m := brokertest.Message("q", "1")
		m.UniqueFor = time.Hour
		brokertest.Enqueue(t, b, m)
		unique := b.Redis().HGet(t.Context(), brokertest.Key("q", "t:1"), "unique_key").Val()
		require.NoError(t, b.Redis().Set(t.Context(), unique, "2", 0).Err())
		_, err := b.Revoke(t.Context(), "q", "1", "x", false)
		require.NoError(t, err)
		require.Equal(t, "2", b.Redis().Get(t.Context(), unique).Val())
	})
}

func TestRevokeWhatRunsOrHasEnded(t *testing.T) { brokertest.OnSingle(t, revokeWhatRunsOrHasEnded) }

func revokeWhatRunsOrHasEnded(t *testing.T, url string) {
	b := brokertest.Open(t, url)
	rdb := b.Redis()
	heard := listen(t, rdb, "paidui:terminate")
	for _, id := range []string{"active", "archived", "completed"} {
		brokertest.Enqueue(t, b, brokertest.Message("q", id))
		become(t, rdb, id, id)
	}
	revoke := func(id string, terminate bool) broker.Revocation {
		r, err := b.Revoke(t.Context(), "q", id, "by hand", terminate)
		require.NoError(t, err)
		return r
	}
	require.Equal(t, broker.Running, revoke("active", false).Outcome)
	require.Equal(t, "by hand", rdb.HGet(t.Context(), brokertest.Key("q", "t:active"), "revoked").Val())
	require.False(t, rdb.HExists(t.Context(), brokertest.Key("q", "t:active"), "terminate").Val())
	require.Equal(t, broker.Running, revoke("active", true).Outcome)
	require.Equal(t, "1", rdb.HGet(t.Context(), brokertest.Key("q", "t:active"), "terminate").Val())
	require.Equal(t, "q active", heard())
	for id, failed := range map[string]bool{"archived": true, "completed": false} {
		got := revoke(id, true)
		require.Equal(t, []any{broker.EndedBefore, failed}, []any{got.Outcome, got.Failed})
	}
	require.Equal(t, broker.Revocation{}, revoke("never", true))
	brokertest.Enqueue(t, b, brokertest.Message("q", "pending"))
	require.Equal(t, broker.Revoked, revoke("pending", false).Outcome)
	require.Equal(t, broker.RevokedAlready, revoke("pending", false).Outcome)
	brokertest.RequireSound(t, rdb, "active", "archived", "completed", "pending")
}

// TestRevokeWhoseAnswerIsLost sends a call again, which must not find that the task is revoked already.
func TestRevokeWhoseAnswerIsLost(t *testing.T) {
	brokertest.OnSingle(t, func(t *testing.T, url string) {
		b := brokertest.Open(t, url)
		brokertest.Enqueue(t, b, brokertest.Message("q", "1"))
		first, second, err := b.RevokeTwice(t.Context(), "q", "1")
		require.NoError(t, err)
		require.Equal(t, []broker.RevokeOutcome{broker.Revoked, broker.Revoked}, []broker.RevokeOutcome{first[0].Outcome, second[0].Outcome})
	})
}

func TestRevokeOfManyInShortLists(t *testing.T) {
	brokertest.OnSingle(t, func(t *testing.T, url string) {
		b := brokertest.Open(t, url)
		const n = 500 // of which one script takes about 40
		brokertest.Enqueue(t, b, brokertest.Numbered("q", n)...)
		ids := make([]string, n)
		for i := range ids {
			ids[i] = strconv.Itoa(i)
			give(t, b.Redis(), ids[i], "tags", "a")
		}
		got, err := b.RevokeTag(t.Context(), "a", "x", false, nil)
		require.NoError(t, err)
		require.Equal(t, broker.RevokedTag{Revoked: n}, got)
		brokertest.RequireSound(t, b.Redis(), ids...)
	})
}

// TestRevokeInALongList leaves the id where it is; whoever fetches it drops it.
func TestRevokeInALongList(t *testing.T) {
	brokertest.OnSingle(t, func(t *testing.T, url string) {
		b := brokertest.Open(t, url+"?read_timeout=1m")
		const n = 10_100
		for some := range slices.Chunk(brokertest.Numbered("q", n), 1000) {
			brokertest.Enqueue(t, b, some...)
		}
		for _, id := range []string{"0", "1", "3"} {
			got, err := b.Revoke(t.Context(), "q", id, "x", false)
			require.NoError(t, err)
			require.Equal(t, broker.Revoked, got.Outcome)
		}
		require.Len(t, brokertest.PendingIDs(t, b.Redis(), "q"), n)
		w := brokertest.NewWorker(t, b, 1, map[string]int{"q": 1})
		for _, want := range []string{"2", "4", "5"} {
			_, id := w.MustNext()
			require.Equal(t, want, id)
		}
		got, err := b.Rerun(t.Context(), "q", "1", brokertest.NextRun)
		require.NoError(t, err)
		require.Equal(t, broker.Fresh, got)
		require.Equal(t, "1", b.Redis().LIndex(t.Context(), brokertest.Key("q", "pending"), 0).Val(), "behind the others")
	})
}

func TestRevokeTag(t *testing.T) { brokertest.OnSingle(t, revokeTag) }

func revokeTag(t *testing.T, url string) {
	b := brokertest.Open(t, url)
	rdb := b.Redis()
	states := []string{"pending", "high", "low", "scheduled", "retry", "active", "archived", "completed"}
	for _, state := range states {
		brokertest.Enqueue(t, b, brokertest.Message("q", state), brokertest.Message("q", "not-"+state))
		become(t, rdb, state, state)
		give(t, rdb, state, "tags", "shop:7 x")
		become(t, rdb, "not-"+state, state)
	}
	brokertest.Enqueue(t, b, brokertest.Message("r", "elsewhere"))
	require.NoError(t, rdb.SAdd(t.Context(), "paidui:{r}:tag:shop:7", "elsewhere", "gone").Err())

	revoked := make(map[string][]string)
	got, err := b.RevokeTag(t.Context(), "shop:7", "by hand", true, func(tasks []*broker.StoredTask) {
		for _, one := range tasks {
			revoked[one.Queue] = append(revoked[one.Queue], one.ID)
		}
	})
	require.NoError(t, err)
	require.Equal(t, broker.RevokedTag{Revoked: 6, Running: 1}, got)
	require.ElementsMatch(t, []string{"pending", "high", "low", "scheduled", "retry"}, revoked["q"])
	require.Equal(t, []string{"elsewhere"}, revoked["r"])
	require.Equal(t, []string{"active"}, brokertest.Members(t, rdb, "paidui:{q}:tag:shop:7"), "what has ended is not kept")
	require.Empty(t, brokertest.Members(t, rdb, "paidui:{r}:tag:shop:7"))
	for _, state := range states {
		want := state
		if state == "high" || state == "low" {
			want = "pending"
		}
		require.Equal(t, want, brokertest.StateOf(t, rdb, "not-"+state))
	}
	got, err = b.RevokeTag(t.Context(), "shop:7", "by hand", true, nil)
	require.NoError(t, err)
	require.Equal(t, broker.RevokedTag{Running: 1}, got)
	got, err = b.RevokeTag(t.Context(), "unknown", "by hand", true, nil)
	require.NoError(t, err)
	require.Zero(t, got)
}

// TestRevokeTagOfMany measures that a hundred thousand tasks take seconds, and that nobody waits long meanwhile.
func TestRevokeTagOfMany(t *testing.T) {
	t.Parallel()
	b := brokertest.Open(t, testenv.RedisURL(t))
	rdb := b.Redis()
	const n = 100_000
	messages := brokertest.Numbered("q", n)
	for i := 0; i < n; i += 10_000 {
		brokertest.Enqueue(t, b, messages[i:i+10_000]...)
		pipe := rdb.Pipeline()
		for _, m := range messages[i : i+10_000] {
			pipe.HSet(t.Context(), brokertest.Key("q", "t:"+m.ID), "tags", "many")
			pipe.SAdd(t.Context(), "paidui:{q}:tag:many", m.ID)
		}
		_, err := pipe.Exec(t.Context())
		require.NoError(t, err)
	}
	require.NoError(t, rdb.ConfigResetStat(t.Context()).Err())
	begun := time.Now()
	got, err := b.RevokeTag(t.Context(), "many", "x", false, nil)
	took := time.Since(begun)
	require.NoError(t, err)
	require.Equal(t, broker.RevokedTag{Revoked: n}, got)
	require.Less(t, took, 60*time.Second)
	calls := regexp.MustCompile(`cmdstat_evalsha:calls=(\d+),usec=\d+,usec_per_call=([0-9.]+)`).FindStringSubmatch(rdb.Info(t.Context(), "commandstats").Val())
	require.NotNil(t, calls)
	each, err := strconv.ParseFloat(calls[2], 64)
	require.NoError(t, err)
	t.Logf("%d tasks in %v: %s scripts of %.0f µs", n, took, calls[1], each)
	require.Less(t, each, 20_000.0, "µs in which nobody else is served")
	require.EqualValues(t, n, rdb.ZCard(t.Context(), brokertest.Key("q", "completed")).Val())
}

func TestForget(t *testing.T) { brokertest.OnSingle(t, forget) }

func forget(t *testing.T, url string) {
	b := brokertest.Open(t, url)
	rdb := b.Redis()
	for _, state := range []string{"pending", "scheduled", "retry", "active", "archived", "completed"} {
		m := brokertest.Message("q", state)
		m.UniqueFor = time.Hour
		brokertest.Enqueue(t, b, m)
		become(t, rdb, state, state)
		got, err := b.Forget(t.Context(), "q", state)
		require.NoError(t, err)
		require.Equal(t, state, got)
		brokertest.RequireSound(t, rdb, "pending", "scheduled", "retry", "active", "archived", "completed")
		m.ID = "again"
		r := b.Enqueue(t.Context(), m)[0]
		if state == "archived" || state == "completed" {
			require.Empty(t, brokertest.StateOf(t, rdb, state))
			require.Equal(t, broker.Made, r.Outcome)
			require.NoError(t, asynq.NewInspectorFromRedisClient(rdb).DeleteTask("q", "again"))
			continue
		}
		require.Equal(t, state, brokertest.StateOf(t, rdb, state))
		require.Equal(t, []any{broker.Held, state}, []any{r.Outcome, r.Owner})
	}
	got, err := b.Forget(context.Background(), "q", "never")
	require.NoError(t, err)
	require.Empty(t, got)
}
