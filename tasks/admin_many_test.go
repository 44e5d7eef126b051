package tasks_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/deploy/testenv"
	"github.com/paidui/paidui/tasks"
	"github.com/paidui/paidui/tasks/broker"
	"github.com/paidui/paidui/tasks/taskstest"
)

// failingMany enqueues n tasks on each of two queues, and waits until all have failed. runs counts what was run.
func failingMany(t *testing.T, b *broker.Broker, client *tasks.Client, n int, opts ...tasks.Option) (refs []tasks.TaskRef, runs *atomic.Int64) {
	t.Helper()
	m := mux()
	runs = new(atomic.Int64)
	tasks.Handle(m, sum, func(context.Context, pair) (int, error) {
		runs.Add(1)
		return 0, tasks.Permanent(errLuck)
	})
	for i := range 2 * n {
		queue := []string{"default", "low"}[i%2]
		res, err := sum.Enqueue(t.Context(), client, pair{N: i}, append([]tasks.Option{tasks.Queue(queue)}, opts...)...)
		require.NoError(t, err)
		refs = append(refs, tasks.TaskRef{Queue: queue, ID: res.ID()})
	}
	taskstest.Serve(t, b, m, "default", "low")
	awaitAll(t, client, refs, tasks.StateFailure)
	return refs, runs
}

func awaitAll(t *testing.T, client *tasks.Client, refs []tasks.TaskRef, want tasks.State) {
	t.Helper()
	require.Eventually(t, func() bool {
		for _, ref := range refs {
			if info, err := client.Info(t.Context(), ref.ID); err != nil || info.State != want {
				return false
			}
		}
		return true
	}, testenv.Patience, 10*time.Millisecond)
}

func manyOutcomes(list []tasks.ManyResult) map[tasks.ManyOutcome]int {
	counts := make(map[tasks.ManyOutcome]int)
	for _, r := range list {
		counts[r.Outcome]++
	}
	return counts
}

func TestRetryOfManyHappensOnce(t *testing.T) {
	onEachBroker(t, func(t *testing.T, b *broker.Broker) {
		const n = 130 // more than one script takes
		history := &notes{}
		client := tasks.NewClient(b, tasks.ClientOptions{History: history})
		refs, runs := failingMany(t, b, client, n)
		waits, err := sum.Enqueue(t.Context(), client, pair{}, tasks.Countdown(time.Hour))
		require.NoError(t, err)
		others := []tasks.TaskRef{{"default", waits.ID()}, {"default", "nobody"}, {"no queue", "x"}}
		for range 2 { // the second call repeats the first, after the tasks have failed once more
			list, err := client.RetryMany(t.Context(), "call-1", append(refs, others...), nil)
			require.NoError(t, err)
			require.Equal(t, map[tasks.ManyOutcome]int{tasks.ManyDone: 2 * n, tasks.ManyUnfit: 1, tasks.ManyGone: 2}, manyOutcomes(list))
			require.Eventually(t, func() bool { return runs.Load() == 4*n }, testenv.Patience, 10*time.Millisecond)
			awaitAll(t, client, refs, tasks.StateFailure)
		}
		require.EqualValues(t, 4*n, runs.Load())
		requireState(t, client, waits.ID(), tasks.StatePending)
		list, err := client.RetryMany(t.Context(), "call-2", refs, nil)
		require.NoError(t, err)
		require.Equal(t, 2*n, manyOutcomes(list)[tasks.ManyDone])
		require.Eventually(t, func() bool { return runs.Load() == 6*n }, testenv.Patience, 10*time.Millisecond)
		records := history.of(refs[0].ID)
		require.Equal(t, 3, records[len(records)-1].Run)
		_, err = client.RetryMany(t.Context(), "", refs, nil)
		var wrong *tasks.OptionError
		require.ErrorAs(t, err, &wrong)
	})
}

func TestRetryOfManyLeavesWhatHasExpired(t *testing.T) {
	t.Parallel()
	b := taskstest.Embedded(t)
	client := tasks.NewClient(b)
	refs, _ := failingMany(t, b, client, 1, tasks.ExpiresIn(time.Hour))
	late := tasks.NewClient(b, tasks.ClientOptions{Now: func() time.Time { return time.Now().Add(2 * time.Hour) }})
	list, err := late.RetryMany(t.Context(), "call", refs, nil)
	require.NoError(t, err)
	for _, r := range list {
		require.Equal(t, tasks.ManyUnfit, r.Outcome)
		require.ErrorIs(t, r.Err, tasks.ErrExpired)
	}
}

func TestRevokeAndForgetOfMany(t *testing.T) {
	onEachBroker(t, func(t *testing.T, b *broker.Broker) {
		client := tasks.NewClient(b)
		failed, _ := failingMany(t, b, client, 2)
		var waiting []tasks.TaskRef
		for i := range 150 {
			res, err := sum.Enqueue(t.Context(), client, pair{N: i}, tasks.Countdown(time.Hour))
			require.NoError(t, err)
			waiting = append(waiting, tasks.TaskRef{Queue: "default", ID: res.ID()})
		}
		list, err := client.ForgetMany(t.Context(), waiting)
		require.NoError(t, err)
		require.Equal(t, map[tasks.ManyOutcome]int{tasks.ManyUnfit: 150}, manyOutcomes(list))
		all := append(append(append([]tasks.TaskRef{}, waiting...), failed...), tasks.TaskRef{Queue: "default", ID: "nobody"})
		for range 2 {
			list, err = client.RevokeMany(t.Context(), all, tasks.Reason("for a reason"))
			require.NoError(t, err)
			require.Equal(t, map[tasks.ManyOutcome]int{tasks.ManyDone: 150, tasks.ManyUnfit: 4, tasks.ManyGone: 1}, manyOutcomes(list))
		}
		require.Equal(t, "for a reason", requireState(t, client, waiting[7].ID, tasks.StateRevoked).Error)
		list, err = client.RevokeMany(t.Context(), waiting, tasks.Reason("for another one"))
		require.NoError(t, err)
		require.Equal(t, map[tasks.ManyOutcome]int{tasks.ManyUnfit: 150}, manyOutcomes(list))
		list, err = client.ForgetMany(t.Context(), all)
		require.NoError(t, err)
		require.Equal(t, map[tasks.ManyOutcome]int{tasks.ManyDone: 154, tasks.ManyGone: 1}, manyOutcomes(list))
		for _, ref := range all {
			_, err := client.Info(t.Context(), ref.ID)
			require.ErrorIs(t, err, tasks.ErrNotFound, fmt.Sprint(ref))
		}
	})
}
