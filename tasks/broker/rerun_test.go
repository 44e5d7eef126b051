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
)

// nextRun is a judge that counts runs in a header.
func nextRun(task *broker.StoredTask, fresh bool) ([]broker.Header, error) {
	n, _ := strconv.Atoi(task.Headers["run"])
	return []broker.Header{{Key: "run", Value: strconv.Itoa(max(n, 1) + 1)}}, nil
}

var errJudged = errors.New("not this one")

func refuse(*broker.StoredTask, bool) ([]broker.Header, error) { return nil, errJudged }

// failOnce runs tasks of queue q on a bare asynq server, all of which fail for good, and returns when n have.
func failAll(t testing.TB, b *broker.Broker, n int) {
	t.Helper()
	cfg := serverConfig(map[string]int{"q": 1})
	cfg.Concurrency = 50
	f := b.NewFetcher(broker.FetcherConfig{Queues: cfg.Queues, Slots: cfg.Concurrency})
	stop := serveWith(t, f, cfg, func(context.Context, *asynq.Task) error { return fmt.Errorf("it went badly: %w", asynq.SkipRetry) })
	require.Eventually(t, func() bool {
		return b.Redis().ZCard(t.Context(), key("q", "archived")).Val() == int64(n)
	}, 3*patience, 10*time.Millisecond)
	stop()
}

func info(t testing.TB, rdb redis.UniversalClient, id string) *asynq.TaskInfo {
	t.Helper()
	seen, err := asynq.NewInspectorFromRedisClient(rdb).GetTaskInfo("q", id)
	require.NoError(t, err)
	return seen
}

func TestRerunOfAFailedTask(t *testing.T) { onSingle(t, rerunOfAFailedTask) }

func rerunOfAFailedTask(t *testing.T, url string) {
	b := open(t, url)
	rdb := b.Redis()
	m := message("q", "1")
	m.Headers = []broker.Header{{Key: "a", Value: "b"}}
	enqueue(t, b, m)
	failAll(t, b, 1)
	give(t, rdb, "1", "crashes", "3", "attempts", "{}", "progress", "{}", "watch", "1")
	require.NoError(t, rdb.HSet(t.Context(), key("q", "t:1"), "tags", "x y").Err())
	require.Equal(t, "it went badly: skip retry for the task", info(t, rdb, "1").LastErr)
	heard := listen(t, rdb, "paidui:events")

	got, err := b.Rerun(t.Context(), "q", "1", nextRun)
	require.NoError(t, err)
	require.Equal(t, broker.Fresh, got)
	require.Equal(t, "+1", heard())
	requireSound(t, rdb, "1")
	seen := info(t, rdb, "1")
	require.Equal(t, []any{"", 0, 3, true, map[string]string{"a": "b", "run": "2"}, `"1"`},
		[]any{seen.LastErr, seen.Retried, seen.MaxRetry, seen.LastFailedAt.IsZero(), seen.Headers, string(seen.Payload)})
	held := rdb.HGetAll(t.Context(), key("q", "t:1")).Val()
	require.Equal(t, "{}", held["attempts"])
	for _, gone := range []string{"result", "crashes", "revoked", "progress"} {
		require.NotContains(t, held, gone)
	}
	require.ElementsMatch(t, []string{"1"}, members(t, rdb, "paidui:{q}:tag:y"))

	got, err = b.Rerun(t.Context(), "q", "1", nextRun)
	require.NoError(t, err)
	require.Equal(t, broker.Waiting, got)

	ran := make(chan string, 1)
	serve(t, b.NewFetcher(fetcherConfig(map[string]int{"q": 1})), map[string]int{"q": 1}, func(ctx context.Context, task *asynq.Task) error {
		ran <- taskID(ctx) + " " + task.Headers()["run"] + " " + string(task.Payload())
		return nil
	})
	require.Equal(t, `1 2 "1"`, <-ran)
}

func TestRerunOfARevokedTask(t *testing.T) { onSingle(t, rerunOfARevokedTask) }

func rerunOfARevokedTask(t *testing.T, url string) {
	b := open(t, url)
	rdb := b.Redis()
	ids := []string{"pending", "high", "low", "scheduled", "retry"}
	for _, id := range ids {
		enqueue(t, b, message("q", id))
		become(t, rdb, id, id)
		give(t, rdb, id, "tags", "x")
		_, err := b.Revoke(t.Context(), "q", id, "x", false)
		require.NoError(t, err)
		got, err := b.Rerun(t.Context(), "q", id, nextRun)
		require.NoError(t, err)
		require.Equal(t, broker.Fresh, got)
		requireSound(t, rdb, ids...)
		seen := info(t, rdb, id)
		require.Equal(t, []any{asynq.TaskStatePending, true, "", "2"},
			[]any{seen.State, seen.CompletedAt.IsZero(), string(seen.Result), seen.Headers["run"]})
	}
	require.Equal(t, []string{"high"}, members(t, rdb, "paidui:{q}:high"))
	require.Equal(t, []string{"low"}, members(t, rdb, "paidui:{q}:low"))
	require.Equal(t, []string{"pending", "scheduled", "retry"}, pendingIDs(t, rdb, "q"), "it goes behind the others")
}

func TestRerunOfAnyOther(t *testing.T) { onSingle(t, rerunOfAnyOther) }

func rerunOfAnyOther(t *testing.T, url string) {
	b := open(t, url)
	rdb := b.Redis()
	want := map[string]broker.RerunOutcome{
		"scheduled": broker.Sooner, "retry": broker.Sooner, "pending": broker.Waiting, "active": broker.Started,
		"completed": broker.Succeeded, "never": broker.NoTask,
	}
	var ids []string
	for state, outcome := range want {
		if state != "never" {
			enqueue(t, b, message("q", state))
			become(t, rdb, state, state)
			ids = append(ids, state)
		}
		got, err := b.Rerun(t.Context(), "q", state, nextRun)
		require.NoError(t, err)
		require.Equal(t, outcome, got, state)
		if state != "never" {
			require.Empty(t, info(t, rdb, state).Headers, "the run goes on")
		}
		if outcome == broker.Sooner {
			require.Equal(t, "pending", stateOf(t, rdb, state))
		}
	}
	requireSound(t, rdb, ids...)
}

// TestRerunOfATaskThatIsToEndAsRevoked is for one that was revoked while it ran, and waits to be dropped.
func TestRerunOfATaskThatIsToEndAsRevoked(t *testing.T) {
	onSingle(t, func(t *testing.T, url string) {
		b := open(t, url)
		ids := []string{"pending", "retry"}
		for _, id := range ids {
			enqueue(t, b, message("q", id))
			become(t, b.Redis(), id, id)
			give(t, b.Redis(), id, "revoked", "x")
			got, err := b.Rerun(t.Context(), "q", id, nextRun)
			require.NoError(t, err)
			require.Equal(t, broker.Fresh, got)
			require.Equal(t, "2", info(t, b.Redis(), id).Headers["run"])
			require.False(t, b.Redis().HExists(t.Context(), key("q", "t:"+id), "revoked").Val())
			requireSound(t, b.Redis(), ids...)
		}
		require.Equal(t, ids, pendingIDs(t, b.Redis(), "q"))
	})
}

func TestRerunAsksTheJudge(t *testing.T) {
	onSingle(t, func(t *testing.T, url string) {
		b := open(t, url)
		ids := []string{"scheduled", "retry", "archived"}
		for _, id := range ids {
			enqueue(t, b, message("q", id))
			become(t, b.Redis(), id, id)
			_, err := b.Rerun(t.Context(), "q", id, refuse)
			require.ErrorIs(t, err, errJudged)
			require.Equal(t, id, stateOf(t, b.Redis(), id))
		}
		n, err := b.RerunDead(t.Context(), "q", refuse, nil)
		require.NoError(t, err)
		require.Zero(t, n)
		requireSound(t, b.Redis(), ids...)
	})
}

func TestRerunWhoseAnswerIsLost(t *testing.T) {
	onSingle(t, func(t *testing.T, url string) {
		b := open(t, url)
		w := newWorker(t, b, 1, map[string]int{"q": 1})
		for id, begin := range map[string]bool{"waits": false, "begun": true} {
			enqueue(t, b, message("q", id))
			become(t, b.Redis(), id, "archived")
			first, second, err := b.RerunTwice(t.Context(), "q", id, nextRun, func() {
				if begin {
					_, _, err := w.try()
					require.NoError(t, err)
				}
			})
			require.NoError(t, err)
			require.Equal(t, []broker.RerunOutcome{broker.Fresh, broker.Fresh}, []broker.RerunOutcome{first, second})
			requireSound(t, b.Redis(), id)
			require.NoError(t, b.Redis().FlushAll(t.Context()).Err())
		}
	})
}

// TestRerunThatIsJudgedTooLate changes the task between reading and writing.
func TestRerunThatIsJudgedTooLate(t *testing.T) {
	onSingle(t, func(t *testing.T, url string) {
		b := open(t, url)
		enqueue(t, b, message("q", "1"))
		become(t, b.Redis(), "1", "archived")
		asked := 0
		got, err := b.Rerun(t.Context(), "q", "1", func(task *broker.StoredTask, fresh bool) ([]broker.Header, error) {
			if asked++; asked == 1 { // it runs and fails meanwhile
				other, err := b.Rerun(t.Context(), "q", "1", nextRun)
				require.NoError(t, err)
				require.Equal(t, broker.Fresh, other)
				become(t, b.Redis(), "1", "archived")
			}
			return nextRun(task, fresh)
		})
		require.NoError(t, err)
		require.Equal(t, broker.Fresh, got)
		require.Equal(t, 2, asked)
		require.Equal(t, "3", info(t, b.Redis(), "1").Headers["run"])
		requireSound(t, b.Redis(), "1")
	})
}

func TestRerunDead(t *testing.T) { onSingle(t, rerunDead) }

func rerunDead(t *testing.T, url string) {
	b := open(t, url)
	rdb := b.Redis()
	const n = 350
	enqueue(t, b, numbered("q", n)...)
	failAll(t, b, n)
	enqueue(t, b, message("q", "later"))
	become(t, rdb, "later", "archived")
	require.NoError(t, rdb.ZAdd(t.Context(), key("q", "archived"),
		redis.Z{Member: "later", Score: float64(time.Now().Add(time.Hour).Unix())}).Err())

	var total atomic.Int64
	var callers sync.WaitGroup
	for range 4 {
		callers.Go(func() {
			var seen int
			n, err := b.RerunDead(context.Background(), "q", nextRun, func(tasks []*broker.StoredTask) { seen += len(tasks) })
			if err == nil && seen == n {
				total.Add(int64(n))
			}
		})
	}
	callers.Wait()
	require.EqualValues(t, n, total.Load(), "each is run again by one of the callers")
	require.Equal(t, []string{"later"}, members(t, rdb, key("q", "archived")))
	ids := []string{"later"}
	for i := range n {
		ids = append(ids, strconv.Itoa(i))
		require.Equal(t, "2", info(t, rdb, strconv.Itoa(i)).Headers["run"])
	}
	requireSound(t, rdb, ids...)
	again, err := b.RerunDead(t.Context(), "q", nextRun, nil)
	require.NoError(t, err)
	require.Zero(t, again)
}

// TestRerunDeadEnds holds that a task which fails again while the call lasts is not run again by it.
func TestRerunDeadEnds(t *testing.T) {
	onSingle(t, func(t *testing.T, url string) {
		b := open(t, url)
		const n = 250
		enqueue(t, b, numbered("q", n)...)
		failAll(t, b, n)
		var runs atomic.Int64
		cfg := serverConfig(map[string]int{"q": 1})
		serveWith(t, b.NewFetcher(fetcherConfig(cfg.Queues)), cfg, func(context.Context, *asynq.Task) error {
			runs.Add(1)
			return asynq.SkipRetry
		})
		got, err := b.RerunDead(t.Context(), "q", nextRun, nil)
		require.NoError(t, err)
		require.Equal(t, n, got)
		require.Eventually(t, func() bool {
			return b.Redis().ZCard(t.Context(), key("q", "archived")).Val() == n
		}, 3*patience, 10*time.Millisecond)
		require.EqualValues(t, n, runs.Load())
	})
}
