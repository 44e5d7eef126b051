package broker_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/deploy/testenv"
	"github.com/paidui/paidui/tasks/broker"
	"github.com/paidui/paidui/tasks/broker/internal/brokertest"
)

// TestARefusedPublishUndoesNothing: a user that may neither publish nor subscribe runs tasks that somebody waits for, and
// the waiters learn their ends.
func TestARefusedPublishUndoesNothing(t *testing.T) {
	t.Parallel()
	server := testenv.Redis(t)
	b := brokertest.Open(t, brokertest.Limited(t, server, "~*", "+@all", "resetchannels"))
	b.SetUnsubscribed(10 * time.Millisecond)
	require.True(t, redis.IsPermissionError(b.Redis().Publish(t.Context(), "paidui:events", "").Err()))

	const all, watched = 100, 31
	brokertest.Enqueue(t, b, brokertest.Numbered("q", all)...)
	watchers := make([]*broker.Watcher, watched)
	for i := range watchers {
		watchers[i], _ = watch(t, b, "q", fmt.Sprint(i))
	}
	w := brokertest.NewWorker(t, b, all, map[string]int{"q": 1})
	ended := make(chan error, all)
	for range all {
		queue, id := w.MustNext()
		go func() { ended <- w.Complete(context.Background(), queue, id) }()
	}
	for range all {
		require.NoError(t, <-ended)
	}
	require.Zero(t, b.Redis().LLen(t.Context(), brokertest.Key("q", "active")).Val())
	require.EqualValues(t, all, b.Redis().ZCard(t.Context(), brokertest.Key("q", "completed")).Val())
	for _, w := range watchers {
		for await(t, w).State != "completed" {
		}
	}
}

// TestRevokingWithoutLeaveToPublish: what a revocation writes stays whole.
func TestRevokingWithoutLeaveToPublish(t *testing.T) {
	t.Parallel()
	server := testenv.Redis(t)
	b := brokertest.Open(t, brokertest.Limited(t, server, "~*", "+@all", "resetchannels"))
	brokertest.Enqueue(t, b, brokertest.Message("q", "waits"), brokertest.Message("q", "runs"))
	watch(t, b, "q", "waits")
	w := brokertest.NewWorker(t, b, 1, map[string]int{"q": 1})
	_, running := w.MustNext()
	other := map[string]string{"waits": "runs", "runs": "waits"}[running]
	for _, id := range []string{running, other} {
		_, err := b.Revoke(t.Context(), "q", id, "by hand", true)
		require.NoError(t, err)
	}
	require.Equal(t, "completed", b.Redis().HGet(t.Context(), brokertest.Key("q", "t:"+other), "state").Val())
	require.Equal(t, "1", b.Redis().HGet(t.Context(), brokertest.Key("q", "t:"+running), "terminate").Val())
}

// TestWaitsGoOnWithoutLeaveToPublish: who may not publish does not rely on what others publish.
func TestWaitsGoOnWithoutLeaveToPublish(t *testing.T) {
	t.Parallel()
	server := testenv.Redis(t)
	b := brokertest.Open(t, brokertest.Limited(t, server, "~*", "+@all", "&*", "-publish"))
	b.SetUnsubscribed(10 * time.Millisecond)
	require.NoError(t, b.Rights().Check(t.Context()), "nothing vital is missing")
	require.Contains(t, strings.Join(b.Rights().Notes(t.Context()), ""), "PUBLISH paidui:events")
	brokertest.Enqueue(t, b, brokertest.Message("q", "a"))
	w, _ := watch(t, b, "q", "a")
	require.Eventually(t, b.Listening, brokertest.Patience, time.Millisecond)
	change(t, b, "q", "a", "", "state", "completed")
	require.Equal(t, "completed", await(t, w).State)
}

func TestTheEmbeddedRedisLacksNoRights(t *testing.T) {
	brokertest.OnSingle(t, func(t *testing.T, url string) {
		require.Empty(t, brokertest.Open(t, url).Rights().Lacks(t.Context()))
	})
}
