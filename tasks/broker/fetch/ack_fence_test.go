package fetch_test

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
	"github.com/paidui/paidui/tasks/broker/fetch"
	"github.com/paidui/paidui/tasks/broker/internal/brokertest"
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
func TestLateAcknowledgementHasNoEffect(t *testing.T) {
	brokertest.OnSingle(t, lateAcknowledgementHasNoEffect)
}

func lateAcknowledgementHasNoEffect(t *testing.T, url string) {
	for name, opt := range map[string]broker.Options{"standard": {}, "alone": {NoPipelining: true, NoWakeUp: true}} {
		b := brokertest.OpenWith(t, url, opt)
		queue := "q-" + name
		queues := map[string]int{queue: 1}
		f := fetch.New(b, fetch.Config{Queues: queues, Slots: len(lateEnds)})
		running, over := make(chan string), make(chan struct{})
		goOn := make(chan struct{})
		cfg := brokertest.ServerConfig(queues)
		cfg.Concurrency = len(lateEnds)
		cfg.ShutdownTimeout = 100 * time.Millisecond
		stop := brokertest.ServeWith(t, f, cfg, func(ctx context.Context, task *asynq.Task) error {
			running <- brokertest.TaskID(ctx)
			<-goOn
			if _, err := task.ResultWriter().Write([]byte("late")); err != nil {
				return err
			}
			return lateEnds[brokertest.TaskID(ctx)](task, over)
		})
		for end := range lateEnds {
			m := brokertest.Message(queue, end)
			m.UniqueFor = time.Hour
			if end == "complete" {
				m.Retention = time.Hour
			}
			brokertest.Enqueue(t, b, m)
		}
		for range lateEnds {
			<-running
		}
		for end := range lateEnds {
			require.NoError(t, b.Redis().HSet(t.Context(), brokertest.Key(queue, "t:"+end), "owner", "another").Err())
		}
		before := lists(t, b.Redis(), queue)
		close(goOn)
		require.Eventually(t, func() bool { return f.Deliveries() == 1 }, brokertest.Patience, time.Millisecond, "all but the one to be put back")
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
	keys, err := rdb.Keys(t.Context(), brokertest.Key(queue, "*")).Result()
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
	require.EqualValues(t, 1, rdb.LRem(t.Context(), brokertest.Key(queue, "active"), 0, id).Val())
	require.EqualValues(t, 1, rdb.ZRem(t.Context(), brokertest.Key(queue, "lease"), id).Val())
	require.NoError(t, rdb.HSet(t.Context(), brokertest.Key(queue, "t:"+id), "state", "pending").Err())
	require.NoError(t, rdb.RPush(t.Context(), brokertest.Key(queue, "pending"), id).Err())
}

func TestAnotherDeliveryKeepsItsTask(t *testing.T) {
	brokertest.OnSingle(t, func(t *testing.T, url string) {
		b := brokertest.Open(t, url)
		queues := map[string]int{"q": 1}
		first, second := brokertest.NewWorker(t, b, 0, queues), brokertest.NewWorker(t, b, 0, queues)
		result := func(w *brokertest.Worker, text string) {
			require.NoError(t, w.HSet(t.Context(), brokertest.Key("q", "t:x"), "result", []byte(text)).Err())
		}
		brokertest.Enqueue(t, b, brokertest.Message("q", "x"))
		first.MustNext()
		result(first, "first")
		require.Empty(t, b.Redis().HGet(t.Context(), brokertest.Key("q", "t:x"), "result").Val(), "it goes with the acknowledgement")

		// Nobody has the task.
		abandon(t, b.Redis(), "q", "x")
		before := lists(t, b.Redis(), "q")
		require.NoError(t, first.Done(t.Context(), "q", "x"))
		require.Equal(t, before, lists(t, b.Redis(), "q"))

		// Another has it.
		second.MustNext()
		result(second, "second")
		before = lists(t, b.Redis(), "q")
		require.NoError(t, first.Complete(t.Context(), "q", "x"), "the delivery is forgotten")
		require.Equal(t, before, lists(t, b.Redis(), "q"))

		// The first has it anew, and then the second is late.
		abandon(t, b.Redis(), "q", "x")
		first.MustNext()
		before = lists(t, b.Redis(), "q")
		require.NoError(t, second.Complete(t.Context(), "q", "x"))
		require.Equal(t, before, lists(t, b.Redis(), "q"))

		// It has ended already.
		result(first, "first again")
		require.NoError(t, first.Complete(t.Context(), "q", "x"))
		require.Equal(t, "first again", b.Redis().HGet(t.Context(), brokertest.Key("q", "t:x"), "result").Val())
		require.EqualValues(t, 1, b.Redis().ZCard(t.Context(), brokertest.Key("q", "completed")).Val())
		require.Zero(t, b.Redis().LLen(t.Context(), brokertest.Key("q", "active")).Val())
	})
}

// TestEarlierDeliveryToTheSameWorker: asynq acknowledges under the lease of its own delivery; when that has ended, the
// worker may have got the task anew.
func TestEarlierDeliveryToTheSameWorker(t *testing.T) {
	brokertest.OnSingle(t, func(t *testing.T, url string) {
		b := brokertest.Open(t, url)
		w := brokertest.NewWorker(t, b, 0, map[string]int{"q": 1})
		brokertest.Enqueue(t, b, brokertest.Message("q", "x"))
		w.MustNext()
		lease, end := context.WithCancel(t.Context())
		abandon(t, b.Redis(), "q", "x")
		end()
		w.Forget()
		w.MustNext()
		before := lists(t, b.Redis(), "q")
		for range 20 {
			require.ErrorIs(t, w.Done(lease, "q", "x"), context.Canceled)
		}
		require.Equal(t, before, lists(t, b.Redis(), "q"))
		require.NoError(t, w.Done(t.Context(), "q", "x"))
		require.Zero(t, b.Redis().Exists(t.Context(), brokertest.Key("q", "t:x")).Val())
	})
}
