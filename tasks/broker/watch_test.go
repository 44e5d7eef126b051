package broker_test

import (
	"context"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/deploy/testenv"
	"github.com/paidui/paidui/tasks/broker"
	"github.com/paidui/paidui/tasks/broker/internal/brokertest"
)

const never = time.Hour // between two checks, where events are what is tested

// watch follows a task that is there.
func watch(t testing.TB, b *broker.Broker, queue, id string) (*broker.Watcher, *broker.StoredTask) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), brokertest.Patience)
	defer cancel()
	w, record, err := b.Watch(ctx, queue, id)
	require.NoError(t, err)
	require.NotNil(t, w)
	t.Cleanup(w.Close)
	return w, record
}

// change writes to the task's hash and, with a line, tells so.
func change(t testing.TB, b *broker.Broker, queue, id, line string, values ...any) {
	t.Helper()
	require.NoError(t, b.Redis().HSet(t.Context(), brokertest.Key(queue, "t:"+id), values...).Err())
	if line != "" {
		require.NoError(t, b.Redis().Publish(t.Context(), "paidui:events", line).Err())
	}
}

// await takes the next change.
func await(t testing.TB, w *broker.Watcher) *broker.StoredTask {
	t.Helper()
	select {
	case <-w.Changed():
	case <-time.After(brokertest.Patience):
		require.FailNow(t, "no change came")
	}
	record, err := w.Take()
	require.NoError(t, err)
	return record
}

func TestWatchTellsChanges(t *testing.T) {
	onEach(t, func(t *testing.T, url string) {
		b := brokertest.Open(t, url)
		b.SetWatching(never, never)
		brokertest.Enqueue(t, b, brokertest.Message("q", "a"), brokertest.Message("r", "a"), brokertest.Message("q", "other"))
		w, record := watch(t, b, "q", "a")
		require.Equal(t, []string{"q", "a", "pending"}, []string{record.Queue, record.ID, record.State})
		namesake, _ := watch(t, b, "r", "a")
		other, _ := watch(t, b, "q", "other")
		require.Equal(t, "1", b.Redis().HGet(t.Context(), brokertest.Key("q", "t:a"), "watch").Val())

		change(t, b, "q", "a", "+a\n+unknown\n\n", "state", "active", "progress", "{}")
		record = await(t, w)
		require.Equal(t, "active", record.State)
		require.Equal(t, "{}", string(record.Progress))
		change(t, b, "q", "a", ".x\n.a", "state", "completed", "result", "1")
		require.Equal(t, "completed", await(t, w).State)
		require.Empty(t, other.Changed())
		require.Empty(t, namesake.Changed(), "it was looked at, but is as it was")

		require.NoError(t, b.Redis().Del(t.Context(), brokertest.Key("q", "t:a")).Err())
		change(t, b, "q", "x", ".a", "state", "pending")
		require.Nil(t, await(t, w))
		w.Close()
		w.Close()

		missing, record, err := b.Watch(t.Context(), "q", "missing")
		require.NoError(t, err)
		require.Nil(t, missing)
		require.Nil(t, record)
		require.Equal(t, 2, b.Watched())
	})
}

func TestATaskThatHasEndedIsNotMarked(t *testing.T) {
	t.Parallel()
	b := brokertest.Open(t, testenv.RedisURL(t))
	brokertest.Enqueue(t, b, brokertest.Message("q", "a"), brokertest.Message("q", "b"))
	change(t, b, "q", "a", "", "state", "completed")
	change(t, b, "q", "b", "", "revoked", "by hand")
	watch(t, b, "q", "a")
	watch(t, b, "q", "b")
	require.False(t, b.Redis().HExists(t.Context(), brokertest.Key("q", "t:a"), "watch").Val())
	require.False(t, b.Redis().HExists(t.Context(), brokertest.Key("q", "t:b"), "watch").Val())
}

// TestManyWatchersShareLooks: one look serves all who watch a task, and ten thousand tasks take few calls.
func TestManyWatchersShareLooks(t *testing.T) {
	t.Parallel()
	b := brokertest.Open(t, testenv.RedisURL(t))
	b.SetWatching(never, never)
	const many = 2000
	brokertest.Enqueue(t, b, brokertest.Numbered("q", many)...)
	watch(t, b, "q", "0") // so that there is a subscription
	before := brokertest.ScriptCalls(t, b.Redis())
	var all [many]*broker.Watcher
	var group sync.WaitGroup
	for i := range all {
		group.Go(func() { all[i], _, _ = b.Watch(t.Context(), "q", strconv.Itoa(i)) })
	}
	group.Wait()
	require.Less(t, brokertest.ScriptCalls(t, b.Redis())-before, many/10)
	for i, w := range all {
		require.NotNil(t, w, i)
	}

	before = brokertest.ScriptCalls(t, b.Redis())
	var same [many]*broker.Watcher
	for i := range same {
		group.Go(func() { same[i], _, _ = b.Watch(t.Context(), "q", "7") })
	}
	group.Wait()
	require.Less(t, brokertest.ScriptCalls(t, b.Redis())-before, many/10)
	require.Equal(t, many, b.Watched())
	before = brokertest.ScriptCalls(t, b.Redis())
	change(t, b, "q", "7", ".7", "state", "completed")
	for _, w := range same {
		require.Equal(t, "completed", await(t, w).State)
	}
	require.LessOrEqual(t, brokertest.ScriptCalls(t, b.Redis())-before, 2)
	require.Empty(t, all[8].Changed())
	for i := range many {
		all[i].Close()
		same[i].Close()
	}
	require.Equal(t, 1, b.Watched())
}

// TestALostEventIsMadeGood: nobody tells of these ends.
func TestALostEventIsMadeGood(t *testing.T) {
	onEach(t, func(t *testing.T, url string) {
		b := brokertest.Open(t, url)
		b.SetWatching(20*time.Millisecond, never)
		const many = 1200 // more than one check takes
		brokertest.Enqueue(t, b, brokertest.Numbered("q", many)...)
		brokertest.Enqueue(t, b, brokertest.Message("r", "gone"), brokertest.Message("r", "revoked"), brokertest.Message("r", "replaced"))
		for i := range many {
			watch(t, b, "q", strconv.Itoa(i))
		}
		w, _ := watch(t, b, "q", "1100")
		gone, _ := watch(t, b, "r", "gone")
		revoked, _ := watch(t, b, "r", "revoked")
		replaced, _ := watch(t, b, "r", "replaced")
		change(t, b, "q", "1100", "", "state", "archived")
		change(t, b, "r", "revoked", "", "revoked", "why")
		require.NoError(t, b.Redis().Del(t.Context(), brokertest.Key("r", "t:gone"), brokertest.Key("r", "t:replaced")).Err())
		require.Equal(t, "archived", await(t, w).State)
		require.Nil(t, await(t, gone))
		require.Equal(t, "why", await(t, revoked).Revoked)
		require.Nil(t, await(t, replaced))
		change(t, b, "r", "replaced", "", "state", "pending", "msg", "")
		require.Equal(t, "pending", await(t, replaced).State)
		require.Equal(t, "1", b.Redis().HGet(t.Context(), brokertest.Key("r", "t:replaced"), "watch").Val())
	})
}

func TestWatchingOutlivesTheConnection(t *testing.T) {
	t.Parallel()
	server := testenv.Redis(t)
	proxy := testenv.NewProxy(t, server.Addr)
	b, direct := brokertest.Open(t, proxy.URL(0)), brokertest.Open(t, server.URL(0))
	b.SetWatching(never, never)
	brokertest.Enqueue(t, direct, brokertest.Message("q", "a"), brokertest.Message("q", "b"))
	w, _ := watch(t, b, "q", "a")
	require.Eventually(t, b.Listening, brokertest.Patience, time.Millisecond)

	proxy.Stall(true) // what is told now does not arrive
	change(t, direct, "q", "a", ".a", "state", "active")
	proxy.Cut()
	proxy.Stall(false)
	require.Equal(t, "active", await(t, w).State, "a look after the reconnection finds it")
	require.Eventually(t, b.Listening, brokertest.Patience, time.Millisecond)
	change(t, direct, "q", "a", ".a", "state", "completed")
	require.Equal(t, "completed", await(t, w).State)
}

func TestWatchingOutlivesARestartOfRedis(t *testing.T) {
	t.Parallel()
	server := testenv.Redis(t)
	b := brokertest.Open(t, server.URL(0))
	b.SetWatching(never, never)
	brokertest.Enqueue(t, b, brokertest.Message("q", "a"), brokertest.Message("q", "b"))
	w, _ := watch(t, b, "q", "a")
	server.Stop()
	ctx, cancel := context.WithTimeout(t.Context(), brokertest.Patience)
	defer cancel()
	_, _, err := b.Watch(ctx, "q", "b")
	require.Error(t, err)
	require.NoError(t, ctx.Err())
	server.Start() // empty
	require.Nil(t, await(t, w))
	brokertest.Enqueue(t, b, brokertest.Message("q", "b"))
	w, _ = watch(t, b, "q", "b")
	require.Eventually(t, b.Listening, brokertest.Patience, time.Millisecond)
	change(t, b, "q", "b", ".b", "state", "completed")
	require.Equal(t, "completed", await(t, w).State)
}

// TestWatchWithoutPubSub: a Redis may forbid it, or the looks may find it full.
func TestWatchWithoutPubSub(t *testing.T) {
	t.Parallel()
	server := testenv.Redis(t)
	admin := brokertest.Open(t, server.URL(0))
	brokertest.Enqueue(t, admin, brokertest.Message("q", "a"))
	require.NoError(t, admin.Redis().Do(t.Context(), "ACL", "SETUSER", "narrow", "on", ">secret", "~*", "+@all", "resetchannels").Err())
	b := brokertest.Open(t, "redis://narrow:secret@"+server.Addr+"/0")
	w, record := watch(t, b, "q", "a")
	require.Equal(t, "pending", record.State)
	change(t, admin, "q", "a", "", "state", "completed")
	require.Equal(t, "completed", await(t, w).State)
	require.False(t, b.Listening())
}

func TestWatchOnAFullRedis(t *testing.T) {
	t.Parallel()
	b := brokertest.Open(t, testenv.RedisURL(t))
	b.SetWatching(20*time.Millisecond, never)
	brokertest.Enqueue(t, b, brokertest.Message("q", "a"))
	require.NoError(t, b.Redis().ConfigSet(t.Context(), "maxmemory", "1").Err())
	w, record := watch(t, b, "q", "a")
	require.Equal(t, "pending", record.State)
	require.NoError(t, b.Redis().ConfigSet(t.Context(), "maxmemory", "0").Err())
	change(t, b, "q", "a", "", "state", "completed")
	require.Equal(t, "completed", await(t, w).State)
}

// TestTheSubscriptionComesAndGoes with those who watch; and Close ends what waits.
func TestTheSubscriptionComesAndGoes(t *testing.T) {
	t.Parallel()
	server := testenv.Redis(t)
	b := brokertest.OpenWith(t, server.URL(0), broker.Options{NoPipelining: true, NoWakeUp: true})
	b.SetWatching(never, 10*time.Millisecond)
	brokertest.Enqueue(t, b, brokertest.Message("q", "a"))
	subscribers := func() int64 {
		n, err := b.Redis().PubSubNumSub(t.Context(), "paidui:events").Result()
		require.NoError(t, err)
		return n["paidui:events"]
	}
	for range 3 {
		require.Zero(t, subscribers())
		first, _ := watch(t, b, "q", "a")
		second, _ := watch(t, b, "q", "a")
		require.Equal(t, int64(1), subscribers())
		first.Close()
		change(t, b, "q", "a", "+a", "progress", time.Now().String())
		await(t, second)
		second.Close()
		require.Eventually(t, func() bool { return subscribers() == 0 }, brokertest.Patience, time.Millisecond)
	}
	w, _ := watch(t, b, "q", "a")
	require.NoError(t, b.Close())
	<-w.Changed()
	_, err := w.Take()
	require.ErrorIs(t, err, redis.ErrClosed)
	_, _, err = b.Watch(t.Context(), "q", "a")
	require.ErrorIs(t, err, redis.ErrClosed)
}

func TestWatchEndsWithItsContext(t *testing.T) {
	t.Parallel()
	server := testenv.Redis(t)
	proxy := testenv.NewProxy(t, server.Addr)
	b := brokertest.Open(t, proxy.URL(0))
	proxy.Stall(true)
	defer proxy.Stall(false)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, _, err := b.Watch(ctx, "q", "a")
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.Zero(t, b.Watched())
}
