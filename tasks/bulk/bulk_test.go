package bulk

import (
	"errors"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/deploy/testenv"
	"github.com/paidui/paidui/models"
	"github.com/paidui/paidui/tasks"
	"github.com/paidui/paidui/tasks/history"
	"github.com/paidui/paidui/tasks/taskstest"
)

func TestFailedTasksRunAgain(t *testing.T) {
	t.Parallel()
	eachWorld(t, func(t *testing.T, w *world) {
		w.batch = 7
		w.work(t)
		w.relay(t)
		ids := w.fail(t, 30)
		found, err := w.history.Search(t.Context(), history.Query{Limit: 1})
		require.NoError(t, err)
		group := found.Tasks[0].ErrorGroup
		require.NotEmpty(t, group)
		filter := Filter{ErrorGroup: group, Tag: "batch"}
		preview, err := w.Preview(t.Context(), Request{Action: Retry, Filter: filter})
		require.NoError(t, err)
		require.Equal(t, []any{30, false, 10}, []any{preview.Matched, preview.More, len(preview.Examples)})
		require.Equal(t, ids[29], preview.Examples[0].ID)

		w.mended.Store(true)
		gone := ids[3]
		require.NoError(t, w.client.Forget(t.Context(), gone)) // Redis has lost it
		id := w.start(t, Request{Action: Retry, Filter: filter})
		run := w.ended(t, id)
		require.Equal(t, []any{tasks.StateSuccess, int64(29), int64(1), int64(1), int64(0), int64(30), "alice", Retry, filter},
			[]any{run.State, run.Done, run.Skipped, run.Gone, run.Failed, run.LookedAt, run.By, run.Action, run.Filter})
		require.False(t, run.StartedAt.IsZero() || run.FinishedAt.Before(run.StartedAt))
		w.await(t, append(ids[:3:3], ids[4:]...), tasks.StateSuccess)
		var result Result
		require.Eventually(t, func() bool {
			result, err = Task.Result(w.client, id).Get(testenv.Soon(t))
			return err == nil
		}, testenv.Patience, 10*time.Millisecond)
		require.Equal(t, Result{State: tasks.StateSuccess, Done: 29, Skipped: 1}, result)
	})
}

// TestADeadWorkersSuccessorDoesNothingTwice cuts a run off after each batch was done and before that was written down, and lets
// the tasks that run again fail once more before the successor comes.
func TestADeadWorkersSuccessorDoesNothingTwice(t *testing.T) {
	t.Parallel()
	eachWorld(t, func(t *testing.T, w *world) {
		const n = 20
		w.batch = 6
		w.work(t)
		ids := w.fail(t, n)
		id := w.start(t, Request{Action: Retry, Filter: Filter{Task: flaky.Name()}})
		died := errors.New("the worker died")
		deaths := 0
		for last := int64(-1); ; {
			w.reached = func(p point) error {
				row, err := w.row(t.Context(), id)
				require.NoError(t, err)
				if p == beforeCheckpoint && row.Step != last {
					last = row.Step
					return died
				}
				return nil
			}
			_, err := w.run(t.Context(), id)
			if err == nil {
				break
			}
			require.ErrorIs(t, err, died)
			deaths++
			// What it has run again fails again, and the history knows it.
			require.Eventually(t, func() bool {
				var open int64
				require.NoError(t, w.db.Model(&models.TaskRecord{}).Where("task = ? AND state <> ?", flaky.Name(), "FAILURE").Count(&open).Error)
				return open == 0
			}, testenv.Patience, 10*time.Millisecond)
		}
		require.GreaterOrEqual(t, deaths, 4)
		run, err := w.Get(t.Context(), id)
		require.NoError(t, err)
		require.Equal(t, []any{tasks.StateSuccess, int64(n), int64(0), int64(0)}, []any{run.State, run.Done, run.Skipped, run.Failed})
		require.Eventually(t, func() bool { return w.ran(n) == 2 }, testenv.Patience, 10*time.Millisecond)
		w.await(t, ids, tasks.StateFailure)
		require.EqualValues(t, 2, w.ran(n), "each task has run once more, and no more")
	})
}

// TestAnotherRunComesBetween a worker's death and its successor, and runs the same tasks again.
func TestAnotherRunComesBetween(t *testing.T) {
	t.Parallel()
	eachWorld(t, func(t *testing.T, w *world) {
		const n = 6
		w.work(t)
		ids := w.fail(t, n)
		first := w.start(t, Request{Action: Retry, Filter: Filter{Task: flaky.Name()}})
		died := errors.New("the worker died")
		w.reached = func(p point) error {
			if p == beforeCheckpoint {
				return died
			}
			return nil
		}
		again := func(runs int64) {
			t.Helper()
			require.Eventually(t, func() bool { return w.ran(n) == runs }, testenv.Patience, 10*time.Millisecond)
			w.await(t, ids, tasks.StateFailure)
		}
		_, err := w.run(t.Context(), first)
		require.ErrorIs(t, err, died)
		again(2)
		w.reached = nil
		_, err = w.run(t.Context(), w.start(t, Request{Action: Retry, Filter: Filter{Task: flaky.Name()}}))
		require.NoError(t, err)
		again(3)
		result, err := w.run(t.Context(), first)
		require.NoError(t, err)
		require.EqualValues(t, n, result.Done)
		w.await(t, ids, tasks.StateFailure)
		require.EqualValues(t, 3, w.ran(n))
	})
}

// TestTwoWorkersOfOneRun has a worker that stood still go on when its successor has done the same batch.
func TestTwoWorkersOfOneRun(t *testing.T) {
	t.Parallel()
	eachWorld(t, func(t *testing.T, w *world) {
		const n = 10
		w.batch = 4
		w.work(t)
		w.fail(t, n)
		w.mended.Store(true)
		id := w.start(t, Request{Action: Retry, Filter: Filter{All: true}})
		successor := *w.Store
		first := true
		w.reached = func(p point) error {
			if first && p == beforeCheckpoint {
				first = false
				_, err := successor.run(t.Context(), id)
				require.NoError(t, err)
			}
			return nil
		}
		result, err := w.run(t.Context(), id)
		require.NoError(t, err)
		require.Equal(t, Result{State: tasks.StateSuccess, Done: n}, result)
		require.Eventually(t, func() bool { return w.ran(n) == 2 }, testenv.Patience, 10*time.Millisecond)
	})
}

func TestWaitingTasksAreRevokedAndEndedOnesDeleted(t *testing.T) {
	t.Parallel()
	eachWorld(t, func(t *testing.T, w *world) {
		w.batch = 3
		w.work(t)
		w.relay(t)
		failed := w.fail(t, 4)
		var waiting []string
		for i := range 10 {
			res, err := flaky.Enqueue(t.Context(), w.client, args{100 + i}, tasks.Countdown(time.Hour), tasks.Tags("later"))
			require.NoError(t, err)
			waiting = append(waiting, res.ID())
		}
		w.await(t, waiting, tasks.StatePending)
		run := w.ended(t, w.start(t, Request{Action: Revoke, Filter: Filter{Tag: "later"}}))
		require.Equal(t, []any{tasks.StateSuccess, int64(10), int64(0)}, []any{run.State, run.Done, run.Skipped})
		w.await(t, waiting, tasks.StateRevoked)
		info, err := w.client.Info(t.Context(), waiting[0])
		require.NoError(t, err)
		require.Equal(t, "revoked by an operator, in bulk "+run.ID, info.Error)

		run = w.ended(t, w.start(t, Request{Action: Delete, Filter: Filter{State: tasks.StateRevoked}}))
		require.Equal(t, int64(10), run.Done)
		for _, id := range waiting {
			_, err := w.client.Info(t.Context(), id)
			require.ErrorIs(t, err, tasks.ErrNotFound)
			_, err = w.history.Find(t.Context(), id)
			require.ErrorIs(t, err, tasks.ErrNotFound)
		}
		w.await(t, failed, tasks.StateFailure)
		run = w.ended(t, w.start(t, Request{Action: Delete, Filter: Filter{Task: flaky.Name()}}))
		require.Equal(t, int64(4), run.Done)
		var left int64
		require.NoError(t, w.db.Model(&models.TaskFailure{}).Count(&left).Error)
		require.Zero(t, left)
	})
}

func TestWaitingTasksGetAnotherPriority(t *testing.T) {
	t.Parallel()
	eachWorld(t, func(t *testing.T, w *world) {
		w.batch = 3
		var ids []string
		for i := range 10 {
			res, err := flaky.Enqueue(t.Context(), w.client, args{i}, tasks.Tags("t"))
			require.NoError(t, err)
			ids = append(ids, res.ID())
		}
		later, err := flaky.Enqueue(t.Context(), w.client, args{10}, tasks.Tags("t"), tasks.Countdown(time.Hour))
		require.NoError(t, err)
		w.await(t, append(ids, later.ID()), tasks.StatePending)
		id := w.start(t, Request{Action: Prioritize, Priority: "high", Filter: Filter{Tag: "t"}})
		first := true
		w.reached = func(p point) error { // a successor has done the first batch before
			if p == beforeCheckpoint && first {
				first = false
				return errors.New("the worker died")
			}
			return nil
		}
		_, err = w.run(t.Context(), id)
		require.Error(t, err)
		result, err := w.run(t.Context(), id)
		require.NoError(t, err)
		require.Equal(t, Result{State: tasks.StateSuccess, Done: 11}, result)
		high := w.broker.Redis().LRange(t.Context(), "paidui:{default}:high", 0, -1).Val()
		slices.Reverse(high)
		require.Equal(t, ids, high, "in the order in which they were enqueued")
		require.Zero(t, w.broker.Redis().LLen(t.Context(), "asynq:{default}:pending").Val())
		info, err := w.client.Info(t.Context(), later.ID())
		require.NoError(t, err)
		require.Equal(t, "high", info.Priority)
	})
}

func TestARunIsStopped(t *testing.T) {
	t.Parallel()
	eachWorld(t, func(t *testing.T, w *world) {
		w.batch = 2
		w.work(t)
		w.fail(t, 10)
		id := w.start(t, Request{Action: Retry, Filter: Filter{All: true}})
		w.reached = func(p point) error {
			if p == beforeActs {
				run, err := w.Stop(t.Context(), id)
				require.NoError(t, err)
				require.Equal(t, tasks.StateStarted, run.State)
			}
			return nil
		}
		result, err := w.run(t.Context(), id)
		require.NoError(t, err)
		require.Equal(t, Result{State: tasks.StateRevoked, Done: 2}, result, "the batch that it is at is done")

		unbegun := w.start(t, Request{Action: Retry, Filter: Filter{All: true}})
		run, err := w.Stop(t.Context(), unbegun)
		require.NoError(t, err)
		require.Equal(t, tasks.StateRevoked, run.State)
		result, err = w.run(t.Context(), unbegun)
		require.NoError(t, err)
		require.Equal(t, Result{State: tasks.StateRevoked}, result)
		run, err = w.Stop(t.Context(), unbegun)
		require.NoError(t, err)
		require.Equal(t, tasks.StateRevoked, run.State)
		_, err = w.Stop(t.Context(), "nobody")
		require.ErrorIs(t, err, ErrNotFound)
	})
}

func TestARunWhoseTaskIsRevokedHasEnded(t *testing.T) {
	t.Parallel()
	eachWorld(t, func(t *testing.T, w *world) {
		revoked := func(id string) {
			t.Helper()
			_, err := w.client.Revoke(t.Context(), id)
			require.NoError(t, err)
			run := w.ended(t, id)
			require.Equal(t, tasks.StateRevoked, run.State)
			require.False(t, run.FinishedAt.IsZero())
		}
		revoked(w.start(t, Request{Action: Retry, Filter: Filter{All: true}})) // which is in the outbox, and never in Redis
		id := w.start(t, Request{Action: Retry, Filter: Filter{All: true}})
		w.relay(t)
		require.Eventually(t, func() bool {
			found, err := w.broker.Find(t.Context(), "low", id)
			return err == nil && found != nil
		}, testenv.Patience, 10*time.Millisecond)
		revoked(id)
	})
}

// TestARunIsThereBeforeItsTask: the program that starts it dies after the commit, and another one's outbox sends the task.
func TestARunIsThereBeforeItsTask(t *testing.T) {
	t.Parallel()
	eachWorld(t, func(t *testing.T, w *world) {
		w.work(t)
		ids := w.fail(t, 3)
		w.mended.Store(true)
		id := w.start(t, Request{Action: Retry, Filter: Filter{All: true}})
		var rows int64
		require.NoError(t, w.db.Model(&models.OutboxRow{}).Where("task_id = ?", id).Count(&rows).Error)
		require.EqualValues(t, 1, rows)
		run, err := w.Get(t.Context(), id)
		require.NoError(t, err)
		require.Equal(t, tasks.StatePending, run.State)
		w.relay(t) // another program's
		require.Equal(t, int64(3), w.ended(t, id).Done)
		w.await(t, ids, tasks.StateSuccess)
	})
}

// TestRedisGoesInTheMiddle of a run, whose task then waits for it and goes on.
func TestRedisGoesInTheMiddle(t *testing.T) {
	t.Parallel()
	redisURL := testenv.RedisURL(t)
	u, err := url.Parse(redisURL)
	require.NoError(t, err)
	proxy := testenv.NewProxy(t, u.Host)
	host := u.Host
	u.Host = proxy.Addr
	w := assemble(t, testenv.MySQL(t), taskstest.Broker(t, redisURL), taskstest.Broker(t, u.String()))
	require.NotEqual(t, host, u.Host)
	const n = 20
	w.batch = 4
	w.work(t)
	w.fail(t, n)
	w.mended.Store(true)
	id := w.start(t, Request{Action: Retry, Filter: Filter{All: true}})
	batches := 0
	w.reached = func(p point) error {
		if p == beforeActs {
			if batches++; batches == 3 {
				proxy.Away(true)
			}
		}
		return nil
	}
	_, err = w.run(t.Context(), id)
	require.ErrorIs(t, err, tasks.ErrBroker)
	proxy.Away(false)
	require.Eventually(t, func() bool {
		_, err = w.run(t.Context(), id)
		return err == nil
	}, testenv.Patience, 100*time.Millisecond)
	run, err := w.Get(t.Context(), id)
	require.NoError(t, err)
	require.Equal(t, []any{tasks.StateSuccess, int64(n)}, []any{run.State, run.Done})
	require.Eventually(t, func() bool { return w.ran(n) == 2 }, testenv.Patience, 10*time.Millisecond)
}

func TestRequestsThatMakeNoSenseAreRefused(t *testing.T) {
	t.Parallel()
	b := taskstest.Embedded(t)
	w := assemble(t, "sqlite://:memory:", b, b)
	now := time.Now()
	for field, r := range map[string]Request{
		"action":             {Filter: Filter{All: true}},
		"filter":             {Action: Retry},
		"filter.all":         {Action: Retry, Filter: Filter{All: true, Task: "x"}},
		"filter.state":       {Action: Retry, Filter: Filter{State: tasks.StatePending}},
		"filter.state ":      {Action: Revoke, Filter: Filter{State: tasks.StateProgress}},
		"filter.state  ":     {Action: Delete, Filter: Filter{State: history.StateRunning}},
		"filter.queue":       {Action: Retry, Filter: Filter{Queue: "no queue"}},
		"filter.tag":         {Action: Retry, Filter: Filter{Tag: "two words"}},
		"filter.q":           {Action: Retry, Filter: Filter{Text: `"open`}},
		"filter.error_group": {Action: Retry, Filter: Filter{ErrorGroup: "x"}},
		"filter.until":       {Action: Retry, Filter: Filter{Since: now, Until: now.Add(-time.Hour)}},
		"priority":           {Action: Prioritize, Priority: "most", Filter: Filter{All: true}},
		"terminate":          {Action: Delete, Terminate: true, Filter: Filter{All: true}},
	} {
		r.By = "alice"
		var wrong *RequestError
		_, err := w.Start(t.Context(), r)
		require.ErrorAs(t, err, &wrong, field)
		require.Equal(t, strings.TrimSpace(field), wrong.Field)
		_, err = w.Preview(t.Context(), r)
		require.ErrorAs(t, err, &wrong, field)
	}
	_, err := w.Start(t.Context(), Request{Action: Retry, Filter: Filter{All: true}})
	require.Error(t, err, "somebody asks")
	_, err = w.Get(t.Context(), "nobody")
	require.ErrorIs(t, err, ErrNotFound)
	_, err = w.run(t.Context(), "nobody")
	require.ErrorIs(t, err, ErrNotFound)
	var rows int64
	require.NoError(t, w.db.Model(&models.BulkRun{}).Count(&rows).Error)
	require.Zero(t, rows)
	require.NoError(t, w.db.Model(&models.OutboxRow{}).Count(&rows).Error)
	require.Zero(t, rows)
}
