package tasks_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/deploy/testenv"
	"github.com/paidui/paidui/tasks"
	"github.com/paidui/paidui/tasks/broker"
	"github.com/paidui/paidui/tasks/taskstest"
)

var errLuck = errors.New("no luck")

// fickle fails for good until it is told not to.
func fickle(m *tasks.Mux) (mend func(bool)) {
	var mended atomic.Bool
	tasks.Handle(m, sum, func(_ context.Context, a pair) (int, error) {
		if !mended.Load() {
			return 0, tasks.Permanent(errLuck)
		}
		return a.N, nil
	})
	return mended.Store
}

func TestRetryOfAFailedTask(t *testing.T) {
	onEachBroker(t, func(t *testing.T, b *broker.Broker) {
		history := &notes{}
		client, m := tasks.NewClient(b, tasks.ClientOptions{History: history}), mux()
		mend := fickle(m)
		taskstest.Serve(t, b, m, "default")
		res, err := sum.Enqueue(t.Context(), client, pair{N: 7}, tasks.Tags("a"))
		require.NoError(t, err)
		for range 3 {
			_, err = res.Get(testenv.Soon(t))
			var failure *tasks.FailureError
			require.ErrorAs(t, err, &failure)
			require.NoError(t, res.Retry(t.Context()))
		}
		_, err = res.Get(testenv.Soon(t))
		require.Error(t, err)
		mend(true)
		require.NoError(t, res.Retry(t.Context()))
		value, err := res.Get(testenv.Soon(t))
		require.NoError(t, err)
		require.Equal(t, 7, value)
		got := requireState(t, client, res.ID(), tasks.StateSuccess)
		require.Empty(t, got.Error)
		require.Zero(t, got.Retries)
		requireRefused(t, res.Retry(t.Context()), res.ID(), tasks.StateSuccess, tasks.ErrSucceeded)
		var runs []int
		for _, r := range history.of(res.ID()) {
			require.Equal(t, tasks.StatePending, r.State)
			require.Equal(t, []string{"a"}, r.Tags)
			runs = append(runs, r.Run)
		}
		require.Equal(t, []int{1, 2, 3, 4, 5}, runs)
	})
}

func TestRetryOfWhatWaits(t *testing.T) {
	onEachBroker(t, func(t *testing.T, b *broker.Broker) {
		client, m := tasks.NewClient(b), mux()
		begun, end := make(chan struct{}), make(chan struct{})
		tasks.Handle(m, sum, func(context.Context, pair) (int, error) {
			close(begun)
			<-end
			return 1, nil
		})
		res, err := sum.Enqueue(t.Context(), client, pair{}, tasks.Countdown(time.Hour), tasks.ID("later"))
		require.NoError(t, err)
		require.NoError(t, res.Retry(t.Context()))
		require.Nil(t, requireState(t, client, res.ID(), tasks.StatePending).NextRunAt)
		requireRefused(t, res.Retry(t.Context()), res.ID(), tasks.StatePending, tasks.ErrNotReady)
		requireRefused(t, res.Forget(t.Context()), res.ID(), tasks.StatePending, tasks.ErrNotReady)
		taskstest.Serve(t, b, m, "default")
		<-begun
		requireRefused(t, res.Retry(t.Context()), res.ID(), tasks.StateStarted, tasks.ErrNotReady)
		requireRefused(t, res.Forget(t.Context()), res.ID(), tasks.StateStarted, tasks.ErrNotReady)
		close(end)
		_, err = res.Get(testenv.Soon(t))
		require.NoError(t, err)
	})
}

func TestRetryOfARevokedTask(t *testing.T) {
	onEachBroker(t, func(t *testing.T, b *broker.Broker) {
		client, m := tasks.NewClient(b), mux()
		fickle(m)(true)
		res, err := sum.Enqueue(t.Context(), client, pair{N: 3}, tasks.Countdown(time.Hour))
		require.NoError(t, err)
		_, err = res.Revoke(t.Context())
		require.NoError(t, err)
		require.NoError(t, res.Retry(t.Context()))
		require.Empty(t, requireState(t, client, res.ID(), tasks.StatePending).Error)
		taskstest.Serve(t, b, m, "default")
		value, err := res.Get(testenv.Soon(t))
		require.NoError(t, err)
		require.Equal(t, 3, value)
	})
}

func TestAnExpiredTaskDoesNotRunAgain(t *testing.T) {
	t.Parallel()
	b := taskstest.Embedded(t)
	now := time.Now()
	client := tasks.NewClient(b, tasks.ClientOptions{Now: func() time.Time { return now }})
	enqueue := func(id string, opts ...tasks.Option) *tasks.Result[int] {
		res, err := sum.Enqueue(t.Context(), client, pair{}, append(opts, tasks.ID(id), tasks.ExpiresIn(2*time.Hour))...)
		require.NoError(t, err)
		return res
	}
	later, revoked := enqueue("later", tasks.Countdown(time.Hour)), enqueue("revoked")
	_, err := revoked.Revoke(t.Context())
	require.NoError(t, err)
	now = now.Add(4 * time.Hour)
	requireRefused(t, later.Retry(t.Context()), "later", tasks.StatePending, tasks.ErrExpired)
	requireRefused(t, revoked.Retry(t.Context()), "revoked", tasks.StateRevoked, tasks.ErrExpired)
	requireState(t, client, "later", tasks.StatePending)
	requireState(t, client, "revoked", tasks.StateRevoked)
}

func TestDeadLetters(t *testing.T) {
	onEachBroker(t, func(t *testing.T, b *broker.Broker) {
		history := &notes{}
		client, m := tasks.NewClient(b, tasks.ClientOptions{History: history}), mux()
		mend := fickle(m)
		taskstest.Serve(t, b, m, "default")
		const n = 25
		for i := range n {
			_, err := sum.Enqueue(t.Context(), client, pair{N: i}, tasks.ID(strconv.Itoa(i)))
			require.NoError(t, err)
		}
		_, err := sum.Enqueue(t.Context(), client, pair{N: n}, tasks.ID("expires"), tasks.ExpiresIn(24*time.Hour))
		require.NoError(t, err)
		seen := make(map[string]bool)
		require.Eventually(t, func() bool {
			clear(seen)
			for cursor, more := "", true; more; more = cursor != "" {
				page, next, err := client.Dead(t.Context(), "default", cursor, 10)
				require.NoError(t, err)
				for _, one := range page {
					require.Equal(t, []any{tasks.StateFailure, errLuck.Error()}, []any{one.State, one.Error})
					require.False(t, seen[one.ID])
					seen[one.ID] = true
				}
				cursor = next
			}
			return len(seen) == n+1
		}, 20*time.Second, 20*time.Millisecond)

		mend(true)
		tomorrow := tasks.NewClient(b, tasks.ClientOptions{
			History: history, Now: func() time.Time { return time.Now().Add(25 * time.Hour) },
		})
		got, err := tomorrow.RetryDead(t.Context(), "default")
		require.NoError(t, err)
		require.Equal(t, n, got)
		for i := range n {
			_, err := sum.Result(client, strconv.Itoa(i)).Get(testenv.Soon(t))
			require.NoError(t, err)
			require.Equal(t, 2, history.of(strconv.Itoa(i))[1].Run)
		}
		requireState(t, client, "expires", tasks.StateFailure)
		got, err = client.RetryDead(t.Context(), "default")
		require.NoError(t, err)
		require.Equal(t, 1, got)
	})
}

func TestDeadLettersRefuseBadInput(t *testing.T) {
	t.Parallel()
	client := tasks.NewClient(taskstest.Embedded(t))
	_, err := sum.Enqueue(t.Context(), client, pair{})
	require.NoError(t, err)
	for _, queue := range []string{"unknown", "", "a b", "x}{y"} {
		_, _, err := client.Dead(t.Context(), queue, "", 10)
		require.ErrorIs(t, err, tasks.ErrUnknownQueue)
		_, err = client.RetryDead(t.Context(), queue)
		require.ErrorIs(t, err, tasks.ErrUnknownQueue)
	}
	for field, call := range map[string]func() error{
		"limit":  func() error { _, _, err := client.Dead(t.Context(), "default", "", tasks.MaxDead+1); return err },
		"cursor": func() error { _, _, err := client.Dead(t.Context(), "default", "abc", 1); return err },
	} {
		var option *tasks.OptionError
		require.ErrorAs(t, call(), &option)
		require.Equal(t, field, option.Field)
	}
}

func TestForgottenTasksAreGone(t *testing.T) {
	onEachBroker(t, func(t *testing.T, b *broker.Broker) {
		client, m := tasks.NewClient(b), mux()
		mend := fickle(m)
		taskstest.Serve(t, b, m, "default")
		for _, well := range []bool{true, false} {
			mend(well)
			id := fmt.Sprint("well-", well)
			res, err := sum.Enqueue(t.Context(), client, pair{}, tasks.ID(id))
			require.NoError(t, err)
			_, err = client.Wait(testenv.Soon(t), id)
			require.NoError(t, err)
			require.NoError(t, res.Forget(t.Context()))
			_, err = client.Info(t.Context(), id)
			require.ErrorIs(t, err, tasks.ErrNotFound)
			require.ErrorIs(t, res.Forget(t.Context()), tasks.ErrNotFound)
			_, err = sum.Enqueue(t.Context(), client, pair{}, tasks.ID(id))
			require.NoError(t, err, "the id is free")
		}
	})
}
