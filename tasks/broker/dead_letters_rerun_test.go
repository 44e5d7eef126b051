package broker_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/tasks/broker"
	"github.com/paidui/paidui/tasks/broker/fetch"
	"github.com/paidui/paidui/tasks/broker/internal/brokertest"
)

var errJudged = errors.New("not this one")

func refuse(*broker.StoredTask, bool) ([]broker.Header, error) { return nil, errJudged }

// failOnce runs tasks of queue q on a bare asynq server, all of which fail for good, and returns when n have.
func failAll(t testing.TB, b *broker.Broker, n int) {
	t.Helper()
	cfg := brokertest.ServerConfig(map[string]int{"q": 1})
	cfg.Concurrency = 50
	f := fetch.New(b, fetch.Config{Queues: cfg.Queues, Slots: cfg.Concurrency})
	stop := brokertest.ServeWith(t, f, cfg, func(context.Context, *asynq.Task) error { return fmt.Errorf("it went badly: %w", asynq.SkipRetry) })
	require.Eventually(t, func() bool {
		return b.Redis().ZCard(t.Context(), brokertest.Key("q", "archived")).Val() == int64(n)
	}, 3*brokertest.Patience, 10*time.Millisecond)
	stop()
}

func info(t testing.TB, rdb redis.UniversalClient, id string) *asynq.TaskInfo {
	t.Helper()
	seen, err := asynq.NewInspectorFromRedisClient(rdb).GetTaskInfo("q", id)
	require.NoError(t, err)
	return seen
}

func TestRerunOfAFailedTask(t *testing.T) { brokertest.OnSingle(t, rerunOfAFailedTask) }

func rerunOfAFailedTask(t *testing.T, url string) {
	b := brokertest.Open(t, url)
	rdb := b.Redis()
	m := brokertest.Message("q", "1")
	m.Headers = []broker.Header{{Key: "a", Value: "b"}}
	brokertest.Enqueue(t, b, m)
	failAll(t, b, 1)
	give(t, rdb, "1", "crashes", "3", "attempts", "{}", "progress", "{}", "watch", "1")
	require.NoError(t, rdb.HSet(t.Context(), brokertest.Key("q", "t:1"), "tags", "x y").Err())
	require.Equal(t, "it went badly: skip retry for the task", info(t, rdb, "1").LastErr)
	heard := listen(t, rdb, "paidui:events")

	got, err := b.Rerun(t.Context(), "q", "1", brokertest.NextRun)
	require.NoError(t, err)
	require.Equal(t, broker.Fresh, got)
	require.Equal(t, "+1", heard())
	brokertest.RequireSound(t, rdb, "1")
	seen := info(t, rdb, "1")
	require.Equal(t, []any{"", 0, 3, true, map[string]string{"a": "b", "run": "2"}, `"1"`},
		[]any{seen.LastErr, seen.Retried, seen.MaxRetry, seen.LastFailedAt.IsZero(), seen.Headers, string(seen.Payload)})
	held := rdb.HGetAll(t.Context(), brokertest.Key("q", "t:1")).Val()
	require.Equal(t, "{}", held["attempts"])
	for _, gone := range []string{"result", "crashes", "revoked", "progress"} {
		require.NotContains(t, held, gone)
	}
	require.ElementsMatch(t, []string{"1"}, brokertest.Members(t, rdb, "paidui:{q}:tag:y"))

	got, err = b.Rerun(t.Context(), "q", "1", brokertest.NextRun)
	require.NoError(t, err)
	require.Equal(t, broker.Waiting, got)

	ran := make(chan string, 1)
	brokertest.Serve(t, fetch.New(b, brokertest.FetcherConfig(map[string]int{"q": 1})), map[string]int{"q": 1}, func(ctx context.Context, task *asynq.Task) error {
		ran <- brokertest.TaskID(ctx) + " " + task.Headers()["run"] + " " + string(task.Payload())
		return nil
	})
	require.Equal(t, `1 2 "1"`, <-ran)
}

func TestRerunOfARevokedTask(t *testing.T) { brokertest.OnSingle(t, rerunOfARevokedTask) }

func rerunOfARevokedTask(t *testing.T, url string) {
	b := brokertest.Open(t, url)
	rdb := b.Redis()
	ids := []string{"pending", "high", "low", "scheduled", "retry"}
	for _, id := range ids {
		brokertest.Enqueue(t, b, brokertest.Message("q", id))
		become(t, rdb, id, id)
		give(t, rdb, id, "tags", "x")
		_, err := b.Revoke(t.Context(), "q", id, "x", false)
		require.NoError(t, err)
		got, err := b.Rerun(t.Context(), "q", id, brokertest.NextRun)
		require.NoError(t, err)
		require.Equal(t, broker.Fresh, got)
		brokertest.RequireSound(t, rdb, ids...)
		seen := info(t, rdb, id)
		require.Equal(t, []any{asynq.TaskStatePending, true, "", "2"},
			[]any{seen.State, seen.CompletedAt.IsZero(), string(seen.Result), seen.Headers["run"]})
	}
	require.Equal(t, []string{"high"}, brokertest.Members(t, rdb, "paidui:{q}:high"))
	require.Equal(t, []string{"low"}, brokertest.Members(t, rdb, "paidui:{q}:low"))
	require.Equal(t, []string{"pending", "scheduled", "retry"}, brokertest.PendingIDs(t, rdb, "q"), "it goes behind the others")
}

func TestRerunOfAnyOther(t *testing.T) { brokertest.OnSingle(t, rerunOfAnyOther) }

func rerunOfAnyOther(t *testing.T, url string) {
	b := brokertest.Open(t, url)
	rdb := b.Redis()
	want := map[string]broker.RerunOutcome{
		"scheduled": broker.Sooner, "retry": broker.Sooner, "pending": broker.Waiting, "active": broker.Started,
		"completed": broker.Succeeded, "never": broker.NoTask,
	}
	var ids []string
	for state, outcome := range want {
		if state != "never" {
			brokertest.Enqueue(t, b, brokertest.Message("q", state))
			become(t, rdb, state, state)
			ids = append(ids, state)
		}
		got, err := b.Rerun(t.Context(), "q", state, brokertest.NextRun)
		require.NoError(t, err)
		require.Equal(t, outcome, got, state)
		if state != "never" {
			require.Empty(t, info(t, rdb, state).Headers, "the run goes on")
		}
		if outcome == broker.Sooner {
			require.Equal(t, "pending", brokertest.StateOf(t, rdb, state))
		}
	}
	brokertest.RequireSound(t, rdb, ids...)
}

// TestRerunOfATaskThatIsToEndAsRevoked is for one that was revoked while it ran, and waits to be dropped.
func TestRerunOfATaskThatIsToEndAsRevoked(t *testing.T) {
	brokertest.OnSingle(t, func(t *testing.T, url string) {
		b := brokertest.Open(t, url)
		ids := []string{"pending", "retry"}
		for _, id := range ids {
			brokertest.Enqueue(t, b, brokertest.Message("q", id))
			become(t, b.Redis(), id, id)
			give(t, b.Redis(), id, "revoked", "x")
			got, err := b.Rerun(t.Context(), "q", id, brokertest.NextRun)
			require.NoError(t, err)
			require.Equal(t, broker.Fresh, got)
			require.Equal(t, "2", info(t, b.Redis(), id).Headers["run"])
			require.False(t, b.Redis().HExists(t.Context(), brokertest.Key("q", "t:"+id), "revoked").Val())
			brokertest.RequireSound(t, b.Redis(), ids...)
		}
		require.Equal(t, ids, brokertest.PendingIDs(t, b.Redis(), "q"))
	})
}

func TestRerunAsksTheJudge(t *testing.T) {
	brokertest.OnSingle(t, func(t *testing.T, url string) {
		b := brokertest.Open(t, url)
		ids := []string{"scheduled", "retry", "archived"}
		for _, id := range ids {
			brokertest.Enqueue(t, b, brokertest.Message("q", id))
			become(t, b.Redis(), id, id)
			_, err := b.Rerun(t.Context(), "q", id, refuse)
			require.ErrorIs(t, err, errJudged)
			require.Equal(t, id, brokertest.StateOf(t, b.Redis(), id))
		}
		n, err := b.RerunDead(t.Context(), "q", refuse, nil)
		require.NoError(t, err)
		require.Zero(t, n)
		brokertest.RequireSound(t, b.Redis(), ids...)
	})
}

func TestRerunWhoseAnswerIsLost(t *testing.T) {
	brokertest.OnSingle(t, func(t *testing.T, url string) {
		b := brokertest.Open(t, url)
		w := brokertest.NewWorker(t, b, 1, map[string]int{"q": 1})
		for id, begin := range map[string]bool{"waits": false, "begun": true} {
			brokertest.Enqueue(t, b, brokertest.Message("q", id))
			become(t, b.Redis(), id, "archived")
			first, second, err := b.RerunTwice(t.Context(), "q", id, brokertest.NextRun, func() {
				if begin {
					_, _, err := w.Try()
					require.NoError(t, err)
				}
			})
			require.NoError(t, err)
			require.Equal(t, []broker.RerunOutcome{broker.Fresh, broker.Fresh}, []broker.RerunOutcome{first, second})
			brokertest.RequireSound(t, b.Redis(), id)
			require.NoError(t, b.Redis().FlushAll(t.Context()).Err())
		}
	})
}

// TestRerunThatIsJudgedTooLate changes the task between reading and writing.
func TestRerunThatIsJudgedTooLate(t *testing.T) {
	brokertest.OnSingle(t, func(t *testing.T, url string) {
		b := brokertest.Open(t, url)
		brokertest.Enqueue(t, b, brokertest.Message("q", "1"))
		become(t, b.Redis(), "1", "archived")
		asked := 0
		got, err := b.Rerun(t.Context(), "q", "1", func(task *broker.StoredTask, fresh bool) ([]broker.Header, error) {
			if asked++; asked == 1 { // it runs and fails meanwhile
				other, err := b.Rerun(t.Context(), "q", "1", brokertest.NextRun)
				require.NoError(t, err)
				require.Equal(t, broker.Fresh, other)
				become(t, b.Redis(), "1", "archived")
			}
			return brokertest.NextRun(task, fresh)
		})
		require.NoError(t, err)
		require.Equal(t, broker.Fresh, got)
		require.Equal(t, 2, asked)
		require.Equal(t, "3", info(t, b.Redis(), "1").Headers["run"])
		brokertest.RequireSound(t, b.Redis(), "1")
	})
}

func TestRerunDead(t *testing.T) { brokertest.OnSingle(t, rerunDead) }

func rerunDead(t *testing.T, url string) {
	b := brokertest.Open(t, url)
	rdb := b.Redis()
	const n = 350
	brokertest.Enqueue(t, b, brokertest.Numbered("q", n)...)
	failAll(t, b, n)
	brokertest.Enqueue(t, b, brokertest.Message("q", "later"))
	become(t, rdb, "later", "archived")
	require.NoError(t, rdb.ZAdd(t.Context(), brokertest.Key("q", "archived"),
		redis.Z{Member: "later", Score: float64(time.Now().Add(time.Hour).Unix())}).Err())

	var total atomic.Int64
	var callers sync.WaitGroup
	for range 4 {
		callers.Go(func() {
			var seen int
			n, err := b.RerunDead(context.Background(), "q", brokertest.NextRun, func(tasks []*broker.StoredTask) { seen += len(tasks) })
			if err == nil && seen == n {
				total.Add(int64(n))
			}
		})
	}
	callers.Wait()
	require.EqualValues(t, n, total.Load(), "each is run again by one of the callers")
	require.Equal(t, []string{"later"}, brokertest.Members(t, rdb, brokertest.Key("q", "archived")))
	ids := []string{"later"}
	for i := range n {
		ids = append(ids, strconv.Itoa(i))
		require.Equal(t, "2", info(t, rdb, strconv.Itoa(i)).Headers["run"])
	}
	brokertest.RequireSound(t, rdb, ids...)
	again, err := b.RerunDead(t.Context(), "q", brokertest.NextRun, nil)
	require.NoError(t, err)
	require.Zero(t, again)
}

// TestRerunDeadEnds holds that a task which fails again while the call lasts is not run again by it.
func TestRerunDeadEnds(t *testing.T) {
	brokertest.OnSingle(t, func(t *testing.T, url string) {
		b := brokertest.Open(t, url)
		const n = 250
		brokertest.Enqueue(t, b, brokertest.Numbered("q", n)...)
		failAll(t, b, n)
		var runs atomic.Int64
		cfg := brokertest.ServerConfig(map[string]int{"q": 1})
		brokertest.ServeWith(t, fetch.New(b, brokertest.FetcherConfig(cfg.Queues)), cfg, func(context.Context, *asynq.Task) error {
			runs.Add(1)
			return asynq.SkipRetry
		})
		got, err := b.RerunDead(t.Context(), "q", brokertest.NextRun, nil)
		require.NoError(t, err)
		require.Equal(t, n, got)
		require.Eventually(t, func() bool {
			return b.Redis().ZCard(t.Context(), brokertest.Key("q", "archived")).Val() == n
		}, 3*brokertest.Patience, 10*time.Millisecond)
		require.EqualValues(t, n, runs.Load())
	})
}
