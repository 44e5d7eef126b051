package broker_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/tasks/broker"
)

// lateEnds are the ways in which a handler ends after it has lost its task.
var lateEnds = map[string]func(task *asynq.Task, over <-chan struct{}) error{
	"done":     func(*asynq.Task, <-chan struct{}) error { return nil },
	"complete": func(*asynq.Task, <-chan struct{}) error { return nil },
	"retry":    func(*asynq.Task, <-chan struct{}) error { return errors.New("again") },
	"archive":  func(*asynq.Task, <-chan struct{}) error { return fmt.Errorf("never: %w", asynq.SkipRetry) },
	"revoke":   func(*asynq.Task, <-chan struct{}) error { return asynq.RevokeTask },
	"requeue":  func(_ *asynq.Task, over <-chan struct{}) error { <-over; return nil },
}

// TestLateAcknowledgementHasNoEffect: whatever a worker says about a task that another delivery has, Redis stays as it
// is, the result included.
func TestLateAcknowledgementHasNoEffect(t *testing.T) { onSingle(t, lateAcknowledgementHasNoEffect) }

func lateAcknowledgementHasNoEffect(t *testing.T, url string) {
	for name, opt := range map[string]broker.Options{"standard": {}, "alone": {NoPipelining: true, NoWakeUp: true}} {
		b := openWith(t, url, opt)
		queue := "q-" + name
		queues := map[string]int{queue: 1}
		f := b.NewFetcher(broker.FetcherConfig{Queues: queues, Slots: len(lateEnds)})
		running, over := make(chan string), make(chan struct{})
		goOn := make(chan struct{})
		cfg := serverConfig(queues)
		cfg.Concurrency = len(lateEnds)
		cfg.ShutdownTimeout = 100 * time.Millisecond
		stop := serveWith(t, f, cfg, func(ctx context.Context, task *asynq.Task) error {
			running <- taskID(ctx)
			<-goOn
			if _, err := task.ResultWriter().Write([]byte("late")); err != nil {
				return err
			}
			return lateEnds[taskID(ctx)](task, over)
		})
		for end := range lateEnds {
			m := message(queue, end)
			m.UniqueFor = time.Hour
			if end == "complete" {
				m.Retention = time.Hour
			}
			enqueue(t, b, m)
		}
		for range lateEnds {
			<-running
		}
		for end := range lateEnds {
			require.NoError(t, b.Redis().HSet(t.Context(), key(queue, "t:"+end), "owner", "another").Err())
		}
		before := lists(t, b.Redis(), queue)
		close(goOn)
		require.Eventually(t, func() bool { return f.Deliveries() == 1 }, patience, time.Millisecond, "all but the one to be put back")
		stop()
		close(over)
		require.Zero(t, f.Deliveries())
		require.Equal(t, before, lists(t, b.Redis(), queue))
	}
}

// lists is all that Redis holds of a queue, task for task, but the leases' times.
func lists(t *testing.T, rdb redis.UniversalClient, queue string) map[string]any {
	t.Helper()
	all := make(map[string]any)
	keys, err := rdb.Keys(t.Context(), key(queue, "*")).Result()
	require.NoError(t, err)
	for _, k := range keys {
		switch rdb.Type(t.Context(), k).Val() {
		case "hash":
			all[k] = rdb.HGetAll(t.Context(), k).Val()
		case "list":
			all[k] = rdb.Sort(t.Context(), k, &redis.Sort{Alpha: true}).Val()
		case "zset":
			all[k] = rdb.ZRange(t.Context(), k, 0, -1).Val()
		default:
			all[k] = rdb.Get(t.Context(), k).Val()
		}
	}
	return all
}

// abandon takes a task from its worker, as happens when the lease has ended.
func abandon(t *testing.T, rdb redis.UniversalClient, queue, id string) {
	t.Helper()
	require.EqualValues(t, 1, rdb.LRem(t.Context(), key(queue, "active"), 0, id).Val())
	require.EqualValues(t, 1, rdb.ZRem(t.Context(), key(queue, "lease"), id).Val())
	require.NoError(t, rdb.HSet(t.Context(), key(queue, "t:"+id), "state", "pending").Err())
	require.NoError(t, rdb.RPush(t.Context(), key(queue, "pending"), id).Err())
}

func TestAnotherDeliveryKeepsItsTask(t *testing.T) {
	onSingle(t, func(t *testing.T, url string) {
		b := open(t, url)
		queues := map[string]int{"q": 1}
		first, second := newWorker(t, b, 0, queues), newWorker(t, b, 0, queues)
		result := func(w *worker, text string) {
			require.NoError(t, w.HSet(t.Context(), key("q", "t:x"), "result", []byte(text)).Err())
		}
		enqueue(t, b, message("q", "x"))
		first.mustNext()
		result(first, "first")
		require.Empty(t, b.Redis().HGet(t.Context(), key("q", "t:x"), "result").Val(), "it goes with the acknowledgement")

		// Nobody has the task.
		abandon(t, b.Redis(), "q", "x")
		before := lists(t, b.Redis(), "q")
		require.NoError(t, first.done(t.Context(), "q", "x"))
		require.Equal(t, before, lists(t, b.Redis(), "q"))

		// Another has it.
		second.mustNext()
		result(second, "second")
		before = lists(t, b.Redis(), "q")
		require.NoError(t, first.complete(t.Context(), "q", "x"), "the delivery is forgotten")
		require.Equal(t, before, lists(t, b.Redis(), "q"))

		// The first has it anew, and then the second is late.
		abandon(t, b.Redis(), "q", "x")
		first.mustNext()
		before = lists(t, b.Redis(), "q")
		require.NoError(t, second.complete(t.Context(), "q", "x"))
		require.Equal(t, before, lists(t, b.Redis(), "q"))

		// It has ended already.
		result(first, "first again")
		require.NoError(t, first.complete(t.Context(), "q", "x"))
		require.Equal(t, "first again", b.Redis().HGet(t.Context(), key("q", "t:x"), "result").Val())
		require.EqualValues(t, 1, b.Redis().ZCard(t.Context(), key("q", "completed")).Val())
		require.Zero(t, b.Redis().LLen(t.Context(), key("q", "active")).Val())
	})
}

// TestEarlierDeliveryToTheSameWorker: asynq acknowledges under the lease of its own delivery; when that has ended, the
// worker may have got the task anew.
func TestEarlierDeliveryToTheSameWorker(t *testing.T) {
	onSingle(t, func(t *testing.T, url string) {
		b := open(t, url)
		w := newWorker(t, b, 0, map[string]int{"q": 1})
		enqueue(t, b, message("q", "x"))
		w.mustNext()
		lease, end := context.WithCancel(t.Context())
		abandon(t, b.Redis(), "q", "x")
		end()
		w.Forget()
		w.mustNext()
		before := lists(t, b.Redis(), "q")
		for range 20 {
			require.ErrorIs(t, w.done(lease, "q", "x"), context.Canceled)
		}
		require.Equal(t, before, lists(t, b.Redis(), "q"))
		require.NoError(t, w.done(t.Context(), "q", "x"))
		require.Zero(t, b.Redis().Exists(t.Context(), key("q", "t:x")).Val())
	})
}
