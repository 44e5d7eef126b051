package broker_test

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hibiken/asynq"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/deploy/testenv"
	"github.com/paidui/paidui/tasks/broker"
)

func TestAcknowledgementsWhileRedisIsAway(t *testing.T) {
	inEachMode(t, func(t *testing.T, opt broker.Options) {
		server := testenv.Redis(t, testenv.WithArgs("--appendonly", "yes", "--appendfsync", "always"))
		b := openWith(t, server.URL(0), opt)
		const tasks = 6
		queues := map[string]int{"q": 1}
		f := b.NewFetcher(broker.FetcherConfig{Queues: queues, Slots: tasks})
		var runs atomic.Int32
		var running sync.WaitGroup
		running.Add(tasks)
		goOn := make(chan struct{})
		cfg := serverConfig(queues)
		cfg.Concurrency = tasks
		cfg.RetryDelayFunc = func(int, error, *asynq.Task) time.Duration { return time.Hour }
		serveWith(t, f, cfg, func(ctx context.Context, task *asynq.Task) error {
			if runs.Add(1) <= tasks {
				running.Done()
			}
			<-goOn
			if _, err := task.ResultWriter().Write([]byte("result")); err != nil {
				return err
			}
			if number(taskID(ctx))%3 == 2 {
				return errors.New("again")
			}
			return nil
		})
		for _, m := range numbered("q", tasks) {
			if number(m.ID)%3 == 1 {
				m.Retention = time.Hour
			}
			enqueue(t, b, m)
		}
		running.Wait()
		server.Stop()
		require.Error(t, b.Ping(t.Context()))
		close(goOn)
		require.Error(t, b.Ping(t.Context()))
		require.Equal(t, tasks, f.Deliveries(), "none is forgotten")
		server.Start()
		require.Eventually(t, func() bool { return f.Deliveries() == 0 }, patience, time.Millisecond)
		require.EqualValues(t, tasks, runs.Load(), "each ran once")
		inspector := asynq.NewInspectorFromRedisClient(b.Redis())
		info, err := inspector.GetQueueInfo("q")
		require.NoError(t, err)
		require.Equal(t, []int{0, 0, 2, 2, 6, 2},
			[]int{info.Active, info.Pending, info.Completed, info.Retry, info.ProcessedTotal, info.FailedTotal})
		for _, id := range []string{"1", "2", "4", "5"} {
			require.Equal(t, "result", b.Redis().HGet(t.Context(), key("q", "t:"+id), "result").Val())
		}
	})
}

// TestRepeatedAcknowledgementCountsOnce: Redis has done what it was asked, and its answer is lost.
func TestRepeatedAcknowledgementCountsOnce(t *testing.T) {
	t.Parallel()
	server := testenv.Redis(t)
	proxy := testenv.NewProxy(t, server.Addr)
	b, direct := open(t, proxy.URL(0)), open(t, server.URL(0))
	w := newWorker(t, b, 0, map[string]int{"q": 1})
	const rounds = 20
	for i := range rounds {
		enqueue(t, direct, message("q", strconv.Itoa(i)))
		_, id := w.mustNext()
		require.Equal(t, strconv.Itoa(i), id)
		require.NoError(t, w.HSet(t.Context(), key("q", "t:"+id), "result", []byte("r"+id)).Err())
		proxy.CutAfter(0)
		if i%2 == 0 {
			require.NoError(t, w.complete(t.Context(), "q", id))
		} else {
			require.NoError(t, w.done(t.Context(), "q", id))
		}
	}
	require.EqualValues(t, "20", direct.Redis().Get(t.Context(), key("q", "processed")).Val())
	require.EqualValues(t, rounds/2, direct.Redis().ZCard(t.Context(), key("q", "completed")).Val())
	require.Zero(t, direct.Redis().LLen(t.Context(), key("q", "active")).Val())
	require.Zero(t, w.Deliveries())
}

func TestAcknowledgementsShareRoundTrips(t *testing.T) {
	t.Parallel()
	b := open(t, testenv.RedisURL(t))
	const tasks = 500
	enqueue(t, b, numbered("q", tasks)...)
	w := newWorker(t, b, tasks, map[string]int{"q": 1})
	for range tasks {
		w.mustNext()
	}
	require.Equal(t, tasks, w.Deliveries())
	before := scriptCalls(t, b.Redis())
	var all sync.WaitGroup
	for i := range tasks {
		all.Go(func() { assert.NoError(t, w.done(t.Context(), "q", strconv.Itoa(i))) })
	}
	all.Wait()
	t.Logf("%d scripts", scriptCalls(t, b.Redis())-before)
	require.Less(t, scriptCalls(t, b.Redis())-before, tasks)
	require.Equal(t, strconv.Itoa(tasks), b.Redis().Get(t.Context(), key("q", "processed")).Val())
	require.Zero(t, w.Deliveries())
	require.Zero(t, b.Redis().Exists(t.Context(), key("q", "active"), key("q", "lease"), key("q", "pending")).Val())
}
