package tasks_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/deploy/testenv"
	"github.com/paidui/paidui/tasks"
	"github.com/paidui/paidui/tasks/broker"
	"github.com/paidui/paidui/tasks/broker/fetch"
	"github.com/paidui/paidui/tasks/taskstest"
)

// asker asks why tasks do not run.
type asker struct {
	*testing.T
	client *tasks.Client
}

func (a *asker) why(id string) (codes []tasks.WhyCode, reasons []tasks.WhyReason) {
	a.Helper()
	w, err := a.client.Why(a.Context(), id)
	require.NoError(a, err)
	require.Equal(a, id, w.Task.ID)
	for _, r := range w.Reasons {
		codes = append(codes, r.Code)
	}
	return codes, w.Reasons
}

// require asks until the reasons are these.
func (a *asker) require(id string, want ...tasks.WhyCode) []tasks.WhyReason {
	a.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		codes, reasons := a.why(id)
		if slices.Equal(codes, want) {
			return reasons
		}
		if time.Now().After(end) {
			require.Equal(a, want, codes, id)
		}
	}
}

// add enqueues a sum.
func (a *asker) add(n int, opts ...tasks.Option) string {
	a.Helper()
	res, err := sum.Enqueue(a.Context(), a.client, pair{N: n}, opts...)
	require.NoError(a, err)
	return res.ID()
}

func TestWhyATaskWaits(t *testing.T) {
	onEachBroker(t, func(t *testing.T, b *broker.Broker) {
		a := &asker{t, tasks.NewClient(b)}
		_, err := a.client.Why(t.Context(), "default_nothing")
		require.ErrorIs(t, err, tasks.ErrNotFound)

		first := a.add(1)
		require.Equal(t, "default", a.require(first, tasks.WhyNoWorker)[0].Subject)
		due := time.Now().Add(time.Hour).Truncate(time.Second)
		later := a.require(a.add(1, tasks.ETA(due)), tasks.WhyNotDue, tasks.WhyNoWorker)
		require.True(t, due.Equal(*later[0].Until), later[0].Until)
		stale := a.add(1, tasks.ExpiresIn(time.Second))
		a.require(stale, tasks.WhyPastExpiry, tasks.WhyNoWorker, tasks.WhyTasksBefore)

		// A worker that beats, and fetches nothing.
		still := fetch.New(b, fetch.Config{Name: "still", Queues: map[string]int{"default": 1}, Slots: 2, MaxSlots: 2, Tasks: []string{"test.sum"}})
		t.Cleanup(still.Leave)
		require.NoError(t, still.Beat(t.Context()))
		a.require(first, tasks.WhyNext)
		before := a.require(a.add(1), tasks.WhyTasksBefore)[0]
		require.Equal(t, []any{2, false}, []any{before.Count, before.AtLeast})
		require.Nil(t, before.Until, "nobody ends tasks")
		a.require(a.add(1, tasks.Priority(tasks.High)), tasks.WhyNext)
		require.Equal(t, 4, a.require(a.add(1, tasks.Priority(tasks.Low)), tasks.WhyTasksBefore)[0].Count)
		require.Equal(t, 1, a.require(first, tasks.WhyTasksBefore)[0].Count)

		other, err := quick.Enqueue(t.Context(), a.client, pair{})
		require.NoError(t, err)
		require.Equal(t, "test.quick", a.require(other.ID(), tasks.WhyUnknownTask, tasks.WhyTasksBefore)[0].Subject)

		_, _, err = a.client.PauseQueue(t.Context(), "default", "alice")
		require.NoError(t, err)
		paused := a.require(first, tasks.WhyQueuePaused, tasks.WhyTasksBefore)[0]
		require.Equal(t, []any{"alice", "default"}, []any{paused.By, paused.Subject})
		require.WithinDuration(t, time.Now(), *paused.Since, time.Minute)
	})
}

func TestWhyWorkersDoNotTakeATask(t *testing.T) {
	onEachBroker(t, func(t *testing.T, b *broker.Broker) {
		a := &asker{t, tasks.NewClient(b)}
		m := mux()
		end := make(chan struct{})
		tasks.Handle(m, sum, func(ctx context.Context, p pair) (int, error) {
			if p.N > 0 {
				select {
				case <-end:
				case <-ctx.Done():
					return 0, context.Cause(ctx)
				}
			}
			return p.N, nil
		})
		taskstest.Serve(t, b, m, "default") // with ten slots
		a.require(a.add(0), tasks.WhySucceeded)
		var running []string
		for range 10 {
			id := a.add(1)
			a.require(id, tasks.WhyRunning)
			running = append(running, id)
		}
		r := a.require(running[0], tasks.WhyRunning)[0]
		require.Equal(t, "test", r.Subject)
		require.Eventually(t, func() bool { _, list := a.why(running[0]); return list[0].Until != nil }, patience, 10*time.Millisecond)

		a.add(0)
		last := a.add(0)
		full := a.require(last, tasks.WhySlotsFull, tasks.WhyTasksBefore)
		require.Equal(t, 10, full[0].Count)
		require.Len(t, full[0].Runs, 10)
		require.Equal(t, []string{running[0], "test"}, []string{full[0].Runs[0].ID, full[0].Runs[0].Worker})
		require.NotNil(t, full[1].Until, "tasks ended in the last minute")

		_, err := a.client.PauseWorker(testenv.Soon(t), "test")
		require.NoError(t, err)
		paused := a.require(last, tasks.WhyWorkersPaused, tasks.WhyTasksBefore)
		require.Equal(t, []string{"test"}, paused[0].Workers)
		require.Nil(t, paused[1].Until)

		_, err = a.client.Revoke(t.Context(), running[1], tasks.Reason("enough"))
		require.NoError(t, err)
		a.require(running[1], tasks.WhyTerminating, tasks.WhyRunning)
		close(end)
		_, err = a.client.ResumeWorker(testenv.Soon(t), "test")
		require.NoError(t, err)
		a.require(last, tasks.WhySucceeded)
	})
}

func TestWhyATaskIsTriedAgainOrHasEnded(t *testing.T) {
	onEachBroker(t, func(t *testing.T, b *broker.Broker) {
		a := &asker{t, tasks.NewClient(b)}
		m := mux()
		tasks.Handle(m, sum, func(_ context.Context, p pair) (int, error) {
			if p.N == 1 {
				return 0, tasks.Permanent(errors.New("never"))
			}
			return 0, errors.New("not now")
		})
		expired, revoked := a.add(1, tasks.ExpiresIn(time.Second)), a.add(2)
		_, err := a.client.Revoke(t.Context(), revoked, tasks.Reason("enough"))
		require.NoError(t, err)
		a.require(expired, tasks.WhyPastExpiry, tasks.WhyNoWorker)
		taskstest.Serve(t, b, m, "default")
		a.require(expired, tasks.WhyExpired)
		require.Equal(t, "enough", a.require(revoked, tasks.WhyRevoked)[0].Error)
		again := a.require(a.add(3, tasks.Backoff(time.Hour, time.Hour)), tasks.WhyRetryLater)[0]
		require.Equal(t, []any{"not now", 1}, []any{again.Error, again.Count})
		require.NotNil(t, again.Since)
		require.True(t, again.Until.After(*again.Since))
		require.Equal(t, "never", a.require(a.add(1), tasks.WhyNotRetried)[0].Error)
		used := a.require(a.add(4, tasks.MaxRetries(1), tasks.Backoff(time.Millisecond, time.Millisecond)), tasks.WhyRetriesUsedUp)[0]
		require.Equal(t, []any{"not now", 2}, []any{used.Error, used.Count})
		require.NotNil(t, used.Since)
	})
}

// TestWhyATaskOfADeadWorkerWaits: it is in the hands of a worker that nobody hears.
func TestWhyATaskOfADeadWorkerWaits(t *testing.T) {
	onEachBroker(t, func(t *testing.T, b *broker.Broker) {
		a := &asker{t, tasks.NewClient(b)}
		id := a.add(1)
		require.NoError(t, b.Redis().HSet(t.Context(), "asynq:{default}:t:"+id, "state", "active", "owner", "ghost|x.1").Err())
		require.Equal(t, "ghost", a.require(id, tasks.WhyWorkerGone)[0].Subject)
	})
}

func TestWhyEnded(t *testing.T) {
	t.Parallel()
	at := time.Now()
	for code, info := range map[tasks.WhyCode]*tasks.Info{
		tasks.WhySucceeded:     {State: tasks.StateSuccess, CompletedAt: &at},
		tasks.WhyRevoked:       {State: tasks.StateRevoked, Error: "enough"},
		tasks.WhyExpired:       {State: tasks.StateRevoked, Error: "expired at 2026-01-01T00:00:00Z"},
		tasks.WhyLost:          {State: tasks.StateLost},
		tasks.WhyNotRetried:    {State: tasks.StateFailure, Retries: 1, MaxRetries: 2},
		tasks.WhyRetriesUsedUp: {State: tasks.StateFailure, Retries: 2, MaxRetries: 2},
		tasks.WhyWorkersDied:   {State: tasks.StateFailure, Crashes: 3, Error: (&tasks.CrashError{Crashes: 3}).Error()},
	} {
		list := tasks.WhyEnded(info)
		require.Len(t, list, 1)
		require.Equal(t, code, list[0].Code)
	}
	require.Empty(t, tasks.WhyEnded(&tasks.Info{State: tasks.StatePending}))
}
