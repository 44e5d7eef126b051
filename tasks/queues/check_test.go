package queues_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/deploy/testenv"
	"github.com/paidui/paidui/tasks"
	"github.com/paidui/paidui/tasks/broker"
	"github.com/paidui/paidui/tasks/queues"
	"github.com/paidui/paidui/tasks/taskstest"
)

func TestMain(m *testing.M) { testenv.Main(m) }

type sumArgs struct{ N, M int }

var sum = tasks.Define[sumArgs, int]("test.sum", tasks.Queue("default"))

// TestLostTasksRun takes tasks out of their lists by hand: one that waits, and one for later, which keeps its time.
func TestLostTasksRun(t *testing.T) {
	t.Parallel()
	b := taskstest.Broker(t, testenv.RedisURL(t))
	client := tasks.NewClient(b)
	lost, err := sum.Enqueue(t.Context(), client, sumArgs{1, 2})
	require.NoError(t, err)
	later, err := sum.Enqueue(t.Context(), client, sumArgs{1, 2}, tasks.Countdown(time.Hour))
	require.NoError(t, err)
	rdb := b.Redis()
	require.EqualValues(t, 1, rdb.LRem(t.Context(), "asynq:{default}:pending", 0, lost.ID()).Val())
	require.EqualValues(t, 1, rdb.ZRem(t.Context(), "asynq:{default}:scheduled", later.ID()).Val())
	// As if it had been there for a while.
	require.NoError(t, rdb.HSet(t.Context(), "asynq:{default}:t:"+lost.ID(), "pending_since", time.Now().Add(-time.Hour).UnixNano()).Err())

	mux := tasks.NewMux(tasks.MuxOptions{Logger: testenv.Quiet(), Client: client})
	tasks.Handle(mux, sum, func(_ context.Context, a sumArgs) (int, error) { return a.N + a.M, nil })
	queues.Bind(mux, client)
	taskstest.Serve(t, b, mux, "default", "low")
	check, err := queues.Check.Enqueue(t.Context(), client, queues.CheckArgs{})
	require.NoError(t, err)
	found, err := check.Get(t.Context())
	require.NoError(t, err)
	require.Equal(t, map[broker.Fault]int{broker.FaultLost: 2}, found.Faults)
	three, err := lost.Get(t.Context())
	require.NoError(t, err)
	require.Equal(t, 3, three)
	info, err := client.Info(t.Context(), later.ID())
	require.NoError(t, err)
	require.Equal(t, tasks.StatePending, info.State)
	due := rdb.ZScore(t.Context(), "asynq:{default}:scheduled", later.ID()).Val()
	require.WithinDuration(t, time.Now().Add(time.Hour), time.Unix(int64(due), 0), 10*time.Minute)
}

// TestABrokenQueueFailsTheCheck: it does not wait for what only a hand can mend, and mends the other queues.
func TestABrokenQueueFailsTheCheck(t *testing.T) {
	t.Parallel()
	b := taskstest.Broker(t, testenv.RedisURL(t))
	client, rdb := tasks.NewClient(b), b.Redis()
	require.NoError(t, rdb.SAdd(t.Context(), "asynq:queues", "broken").Err())
	require.NoError(t, rdb.Set(t.Context(), "asynq:{broken}:pending", "text", 0).Err())
	lost, err := sum.Enqueue(t.Context(), client, sumArgs{1, 2})
	require.NoError(t, err)
	require.EqualValues(t, 1, rdb.LRem(t.Context(), "asynq:{default}:pending", 0, lost.ID()).Val())
	require.NoError(t, rdb.HSet(t.Context(), "asynq:{default}:t:"+lost.ID(), "pending_since", time.Now().Add(-time.Hour).UnixNano()).Err())

	mux := tasks.NewMux(tasks.MuxOptions{Logger: testenv.Quiet(), Client: client})
	tasks.Handle(mux, sum, func(_ context.Context, a sumArgs) (int, error) { return a.N + a.M, nil })
	queues.Bind(mux, client)
	taskstest.Serve(t, b, mux, "default", "low")
	check, err := queues.Check.Enqueue(t.Context(), client, queues.CheckArgs{}, tasks.MaxRetries(0))
	require.NoError(t, err)
	_, err = check.Get(t.Context())
	var failure *tasks.FailureError
	require.ErrorAs(t, err, &failure)
	require.Contains(t, failure.Msg, "check queue broken")
	require.Contains(t, failure.Msg, "WRONGTYPE")
	three, err := lost.Get(t.Context())
	require.NoError(t, err)
	require.Equal(t, 3, three)
}
