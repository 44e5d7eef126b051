package broker_test

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/deploy/testenv"
	"github.com/paidui/paidui/tasks/broker"
)

// limited makes a user of the server with these rules, and returns the URL for it.
func limited(t testing.TB, server *testenv.RedisServer, rules ...string) string {
	t.Helper()
	admin := admin(t, server)
	args := []any{"ACL", "SETUSER", "limited", "reset", "on", ">secret"}
	for _, r := range rules {
		args = append(args, r)
	}
	require.NoError(t, admin.Do(t.Context(), args...).Err())
	u, err := url.Parse(server.URL(0))
	require.NoError(t, err)
	u.User = url.UserPassword("limited", "secret")
	return u.String()
}

func admin(t testing.TB, server *testenv.RedisServer) *redis.Client {
	t.Helper()
	rdb := redis.NewClient(&redis.Options{Addr: server.Addr})
	t.Cleanup(func() { require.NoError(t, rdb.Close()) })
	return rdb
}

// TestARefusedPublishUndoesNothing: a user that may neither publish nor subscribe runs tasks that somebody waits for, and
// the waiters learn their ends.
func TestARefusedPublishUndoesNothing(t *testing.T) {
	t.Parallel()
	server := testenv.Redis(t)
	b := open(t, limited(t, server, "~*", "+@all", "resetchannels"))
	b.SetUnheard(10 * time.Millisecond)
	require.True(t, redis.IsPermissionError(b.Redis().Publish(t.Context(), "paidui:events", "").Err()))

	const all, watched = 100, 31
	enqueue(t, b, numbered("q", all)...)
	watchers := make([]*broker.Watcher, watched)
	for i := range watchers {
		watchers[i], _ = watch(t, b, "q", fmt.Sprint(i))
	}
	w := newWorker(t, b, all, map[string]int{"q": 1})
	ended := make(chan error, all)
	for range all {
		queue, id := w.mustNext()
		go func() { ended <- w.complete(context.Background(), queue, id) }()
	}
	for range all {
		require.NoError(t, <-ended)
	}
	require.Zero(t, b.Redis().LLen(t.Context(), key("q", "active")).Val())
	require.EqualValues(t, all, b.Redis().ZCard(t.Context(), key("q", "completed")).Val())
	for _, w := range watchers {
		for await(t, w).State != "completed" {
		}
	}
}

// TestRevokingWithoutLeaveToPublish: what a revocation writes stays whole.
func TestRevokingWithoutLeaveToPublish(t *testing.T) {
	t.Parallel()
	server := testenv.Redis(t)
	b := open(t, limited(t, server, "~*", "+@all", "resetchannels"))
	enqueue(t, b, message("q", "waits"), message("q", "runs"))
	watch(t, b, "q", "waits")
	w := newWorker(t, b, 1, map[string]int{"q": 1})
	_, running := w.mustNext()
	other := map[string]string{"waits": "runs", "runs": "waits"}[running]
	for _, id := range []string{running, other} {
		_, err := b.Revoke(t.Context(), "q", id, "by hand", true)
		require.NoError(t, err)
	}
	require.Equal(t, "completed", b.Redis().HGet(t.Context(), key("q", "t:"+other), "state").Val())
	require.Equal(t, "1", b.Redis().HGet(t.Context(), key("q", "t:"+running), "terminate").Val())
}

// TestRefusedSubscriptionsDoNotPileUp: asynq's tries to subscribe, and the waiters', leave no connections.
func TestRefusedSubscriptionsDoNotPileUp(t *testing.T) {
	t.Parallel()
	server := testenv.Redis(t)
	b := open(t, limited(t, server, "~*", "+@all", "resetchannels"))
	b.SetUnheard(10 * time.Millisecond)
	f := b.NewFetcher(broker.FetcherConfig{Queues: map[string]int{"q": 1}})
	t.Cleanup(f.Stop)
	f.SetCancelPause(time.Millisecond)
	root := admin(t, server)
	// connections are those that speak of a subscription last.
	connections := func() int {
		list, err := root.Do(t.Context(), "CLIENT", "LIST").Text()
		require.NoError(t, err)
		return strings.Count(list, "cmd=subscribe")
	}
	for range 50 {
		_, err := f.Subscribe(context.Background(), "asynq:cancel").Receive(context.Background())
		require.True(t, redis.IsPermissionError(err), err)
	}
	require.Eventually(t, func() bool { return connections() <= 1 }, patience, 10*time.Millisecond)

	// When the right is given, the next try succeeds.
	limited(t, server, "~*", "+@all", "&*")
	_, err := f.Subscribe(context.Background(), "asynq:cancel").Receive(context.Background())
	require.NoError(t, err)
}

// TestWaitsGoOnWithoutLeaveToPublish: who may not publish does not rely on what others publish.
func TestWaitsGoOnWithoutLeaveToPublish(t *testing.T) {
	t.Parallel()
	server := testenv.Redis(t)
	b := open(t, limited(t, server, "~*", "+@all", "&*", "-publish"))
	b.SetUnheard(10 * time.Millisecond)
	require.NoError(t, b.Rights().Check(t.Context()), "nothing vital is missing")
	require.Contains(t, strings.Join(b.Rights().Notes(t.Context()), ""), "PUBLISH paidui:events")
	enqueue(t, b, message("q", "a"))
	w, _ := watch(t, b, "q", "a")
	require.Eventually(t, b.Listening, patience, time.Millisecond)
	change(t, b, "q", "a", "", "state", "completed")
	require.Equal(t, "completed", await(t, w).State)
}

func TestTheEmbeddedRedisLacksNoRights(t *testing.T) {
	onSingle(t, func(t *testing.T, url string) {
		require.Empty(t, open(t, url).Rights().Lacks(t.Context()))
	})
}
