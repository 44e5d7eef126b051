package fetch_test

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
	"github.com/paidui/paidui/tasks/broker/fetch"
	"github.com/paidui/paidui/tasks/broker/internal/brokertest"
)

func TestAcknowledgementsWhileRedisIsAway(t *testing.T) {
	brokertest.InEachMode(t, func(t *testing.T, opt broker.Options) {
		server := testenv.Redis(t, testenv.WithArgs("--appendonly", "yes", "--appendfsync", "always"))
		b := brokertest.OpenWith(t, server.URL(0), opt)
		const tasks = 6
		queues := map[string]int{"q": 1}
		f := fetch.New(b, fetch.Config{Queues: queues, Slots: tasks})
		var runs atomic.Int32
		var running sync.WaitGroup
		running.Add(tasks)
		goOn := make(chan struct{})
		cfg := brokertest.ServerConfig(queues)
		cfg.Concurrency = tasks
		cfg.RetryDelayFunc = func(int, error, *asynq.Task) time.Duration { return time.Hour }
		brokertest.ServeWith(t, f, cfg, func(ctx context.Context, task *asynq.Task) error {
			if runs.Add(1) <= tasks {
				running.Done()
			}
			<-goOn
			if _, err := task.ResultWriter().Write([]byte("result")); err != nil {
				return err
			}
			if brokertest.Number(brokertest.TaskID(ctx))%3 == 2 {
				return errors.New("again")
			}
			return nil
		})
		for _, m := range brokertest.Numbered("q", tasks) {
			if brokertest.Number(m.ID)%3 == 1 {
				m.Retention = time.Hour
			}
			brokertest.Enqueue(t, b, m)
		}
		running.Wait()
		server.Stop()
		require.Error(t, b.Ping(t.Context()))
		close(goOn)
		require.Error(t, b.Ping(t.Context()))
		require.Equal(t, tasks, f.Deliveries(), "none is forgotten")
		server.Start()
		require.Eventually(t, func() bool { return f.Deliveries() == 0 }, brokertest.Patience, time.Millisecond)
		require.EqualValues(t, tasks, runs.Load(), "each ran once")
		inspector := asynq.NewInspectorFromRedisClient(b.Redis())
		info, err := inspector.GetQueueInfo("q")
		require.NoError(t, err)
		require.Equal(t, []int{0, 0, 2, 2, 6, 2},
			[]int{info.Active, info.Pending, info.Completed, info.Retry, info.ProcessedTotal, info.FailedTotal})
		for _, id := range []string{"1", "2", "4", "5"} {
			require.Equal(t, "result", b.Redis().HGet(t.Context(), brokertest.Key("q", "t:"+id), "result").Val())
		}
	})
}

// TestRepeatedAcknowledgementCountsOnce: Redis has done what it was asked, and its answer is lost.
func TestRepeatedAcknowledgementCountsOnce(t *testing.T) {
	t.Parallel()
	server := testenv.Redis(t)
	proxy := testenv.NewProxy(t, server.Addr)
	b, direct := brokertest.Open(t, proxy.URL(0)), brokertest.Open(t, server.URL(0))
	w := brokertest.NewWorker(t, b, 0, map[string]int{"q": 1})
	const rounds = 20
	for i := range rounds {
		brokertest.Enqueue(t, direct, brokertest.Message("q", strconv.Itoa(i)))
		_, id := w.MustNext()
		require.Equal(t, strconv.Itoa(i), id)
		require.NoError(t, w.HSet(t.Context(), brokertest.Key("q", "t:"+id), "result", []byte("r"+id)).Err())
		proxy.CutAfter(0)
		if i%2 == 0 {
			require.NoError(t, w.Complete(t.Context(), "q", id))
		} else {
			require.NoError(t, w.Done(t.Context(), "q", id))
		}
	}
	require.EqualValues(t, "20", direct.Redis().Get(t.Context(), brokertest.Key("q", "processed")).Val())
	require.EqualValues(t, rounds/2, direct.Redis().ZCard(t.Context(), brokertest.Key("q", "completed")).Val())
	require.Zero(t, direct.Redis().LLen(t.Context(), brokertest.Key("q", "active")).Val())
	require.Zero(t, w.Deliveries())
}

func TestAcknowledgementsShareRoundTrips(t *testing.T) {
	t.Parallel()
	b := brokertest.Open(t, testenv.RedisURL(t))
	const tasks = 500
	brokertest.Enqueue(t, b, brokertest.Numbered("q", tasks)...)
	w := brokertest.NewWorker(t, b, tasks, map[string]int{"q": 1})
	for range tasks {
		w.MustNext()
	}
	require.Equal(t, tasks, w.Deliveries())
	before := brokertest.ScriptCalls(t, b.Redis())
	var all sync.WaitGroup
	for i := range tasks {
		all.Go(func() { assert.NoError(t, w.Done(t.Context(), "q", strconv.Itoa(i))) })
	}
	all.Wait()
	t.Logf("%d scripts", brokertest.ScriptCalls(t, b.Redis())-before)
	require.Less(t, brokertest.ScriptCalls(t, b.Redis())-before, tasks)
	require.Equal(t, strconv.Itoa(tasks), b.Redis().Get(t.Context(), brokertest.Key("q", "processed")).Val())
	require.Zero(t, w.Deliveries())
	require.Zero(t, b.Redis().Exists(t.Context(), brokertest.Key("q", "active"), brokertest.Key("q", "lease"), brokertest.Key("q", "pending")).Val())
}
