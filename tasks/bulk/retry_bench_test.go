package bulk

import (
	"fmt"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/deploy/testenv"
	"github.com/paidui/paidui/tasks"
	"github.com/paidui/paidui/tasks/history"
	"github.com/paidui/paidui/tasks/taskstest"
)

// BenchmarkRetry runs 10,000 failed tasks again, or as many as PAIDUI_BENCH_TASKS says, of queues that have 10,000 each:
//
//	PAIDUI_BENCH_TASKS=100000 go test -run none -bench BenchmarkRetry -benchtime 1x ./tasks/bulk
func BenchmarkRetry(b *testing.B) {
	n := 10_000
	if given := os.Getenv("PAIDUI_BENCH_TASKS"); given != "" {
		var err error
		n, err = strconv.Atoi(given)
		require.NoError(b, err)
	}
	for b.Loop() {
		b.StopTimer()
		broker := taskstest.Broker(b, testenv.RedisURL(b))
		w := assemble(b, testenv.MySQL(b), broker, broker)
		w.failStored(b, n)
		id := w.start(b, Request{Action: Retry, Filter: Filter{Task: flaky.Name()}})
		b.StartTimer()
		result, err := w.run(b.Context(), id)
		b.StopTimer()
		require.NoError(b, err)
		require.Equal(b, Result{State: tasks.StateSuccess, Done: int64(n)}, result)
		b.StartTimer()
	}
	b.ReportMetric(b.Elapsed().Seconds()/float64(b.N), "s/run")
	b.ReportMetric(float64(n*b.N)/b.Elapsed().Seconds(), "tasks/s")
}

// failStored makes n tasks that have failed, as they are stored in Redis and in the history, without running them.
func (w *world) failStored(b *testing.B, n int) {
	b.Helper()
	const inQueue, part = 10_000, 1000
	rdb := w.broker.Redis()
	past, err := history.NewWriter(w.db, history.Options{Logger: testenv.Quiet()})
	require.NoError(b, err)
	enqueuer := tasks.NewClient(w.broker)
	for first := 0; first < n; first += part {
		queue := fmt.Sprintf("q%d", first/inQueue)
		var calls []tasks.Signature
		for i := first; i < min(n, first+part); i++ {
			calls = append(calls, flaky.Signature(args{i}, tasks.Queue(queue)))
		}
		pipe := rdb.Pipeline()
		now := time.Now()
		for i, made := range tasks.EnqueueMany(b.Context(), enqueuer, calls) {
			require.NoError(b, made.Err)
			pipe.Do(b.Context(), "HSET", "asynq:{"+queue+"}:t:"+made.ID, "state", "archived")
			pipe.Do(b.Context(), "ZADD", "asynq:{"+queue+"}:archived", now.Unix(), made.ID)
			past.Record(tasks.Record{
				ID: made.ID, Task: flaky.Name(), Queue: queue, State: tasks.StateFailure, Run: 1, Attempt: 1, Args: []byte(fmt.Sprintf(`{"n":%d}`, first+i)),
				Error: fmt.Sprintf("no luck with %d", first+i), EnqueuedAt: now.Add(-time.Second), StartedAt: now, EndedAt: now,
			})
		}
		pipe.Del(b.Context(), "asynq:{"+queue+"}:pending")
		_, err := pipe.Exec(b.Context())
		require.NoError(b, err)
	}
	require.NoError(b, past.Close(b.Context()))
}
