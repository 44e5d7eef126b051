package fetch_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/hibiken/asynq"
	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/tasks/broker"
	"github.com/paidui/paidui/tasks/broker/fetch"
	"github.com/paidui/paidui/tasks/broker/internal/brokertest"
)

// knowing is a worker of the queue "q" that tells which tasks it can run. It beats once.
func knowing(t *testing.T, b *broker.Broker, name string, tasks ...string) *brokertest.Worker {
	t.Helper()
	queues := map[string]int{"q": 1}
	w := brokertest.NewWorkerWith(t, b, fetch.Config{Name: name, Queues: queues, Tasks: tasks, Life: brokertest.Still})
	t.Cleanup(w.Leave)
	w.Begin()
	require.NoError(t, w.Beat(t.Context()))
	return w
}

func TestWhoRunsATask(t *testing.T) { brokertest.OnSingle(t, service) }

func service(t *testing.T, url string) {
	caller, other := brokertest.Open(t, url), brokertest.Open(t, url)
	check := func(want broker.Service, task string, living ...*brokertest.Worker) {
		t.Helper()
		require.Eventually(t, func() bool { // the machine may stand brokertest.Still for longer than a worker without a beat counts
			for _, w := range living {
				require.NoError(t, w.Beat(t.Context()))
			}
			is, err := caller.Service(t.Context(), "q", task)
			require.NoError(t, err)
			return is == want
		}, time.Minute, 10*time.Millisecond, "%s is not %d", task, want)
	}
	check(broker.NoWorker, "a")
	first := knowing(t, other, "first", "a", "b")
	check(broker.Served, "a", first)
	check(broker.NoHandler, "c", first)
	key := "paidui:worker:" + first.LifeName()
	var record map[string]any
	require.NoError(t, json.Unmarshal([]byte(caller.Redis().Get(t.Context(), key).Val()), &record))
	require.Subset(t, record, map[string]any{"name": "first", "queues": map[string]any{"q": 1.0}, "tasks": []any{"a", "b"}}, "as earlier builds read it")
	require.Greater(t, caller.Redis().TTL(t.Context(), key).Val(), time.Minute)

	// With the data of Redis the record is lost, and the next beat writes it again.
	require.NoError(t, caller.Redis().Del(t.Context(), key).Err())
	require.NoError(t, caller.Redis().Del(t.Context(), "paidui:{q}:lives").Err())
	check(broker.NoWorker, "a")
	require.NoError(t, first.Beat(t.Context()))
	require.EqualValues(t, 1, caller.Redis().Exists(t.Context(), key).Val())
	check(broker.Served, "a", first)
	check(broker.NoHandler, "c", first)

	// One that does not tell, as an earlier build, may run anything.
	silent := brokertest.Mortal(t, other, "silent", 1)
	check(broker.Served, "c", first, silent)
	silent.Leave()
	check(broker.NoHandler, "c", first)
	second := knowing(t, other, "second", "c")
	check(broker.Served, "c", first, second)
	second.Leave()
	require.Zero(t, caller.Redis().Exists(t.Context(), "paidui:worker:"+second.LifeName()).Val(), "it has left")
	check(broker.NoHandler, "c", first)

	// So may asynq's own.
	first.Leave()
	check(broker.NoWorker, "a")
	plain := asynq.NewServerFromRedisClient(other.Redis(), asynq.Config{Queues: map[string]int{"q": 1, "r": 1}, LogLevel: asynq.FatalLevel})
	require.NoError(t, plain.Start(asynq.NewServeMux()))
	require.Eventually(t, func() bool {
		is, err := caller.Service(t.Context(), "q", "c")
		return err == nil && is == broker.Served
	}, time.Minute, 10*time.Millisecond)
	plain.Shutdown()
	check(broker.NoWorker, "c")

	// A worker of the same process counts before it has begun.
	here := fetch.New(caller, fetch.Config{Queues: map[string]int{"q": 1}, Tasks: []string{"a"}})
	check(broker.Served, "a")
	check(broker.NoHandler, "c")
	here.Stop()
	check(broker.NoWorker, "a")
}
