package tasks_test

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/deploy/testenv"
	"github.com/paidui/paidui/tasks"
	"github.com/paidui/paidui/tasks/broker"
	"github.com/paidui/paidui/tasks/taskstest"
)

// TestWatchSeesTheWholeLife of a task that fails once, reports progress and succeeds.
func TestWatchSeesTheWholeLife(t *testing.T) {
	onEachBroker(t, func(t *testing.T, b *broker.Broker) {
		client, m := tasks.NewClient(b), mux()
		begin, finish := make(chan struct{}), make(chan struct{})
		var once sync.Once
		tasks.Handle(m, quick, func(ctx context.Context, _ pair) (int, error) {
			<-begin
			if tasks.Current(ctx).Attempt == 1 {
				return 0, errors.New("not this time")
			}
			if err := tasks.Progress(ctx, 3, 10, "三"); err != nil {
				return 0, err
			}
			<-finish
			return 7, nil
		})
		res, err := quick.Enqueue(t.Context(), client, pair{}, tasks.ID("x"), tasks.Tags("red", "blue"),
			tasks.Priority(tasks.High), tasks.Header("trace", "1"))
		require.NoError(t, err)
		var seen []tasks.State
		var last *tasks.Info
		for info, err := range client.Watch(testenv.Soon(t), res.ID()) {
			require.NoError(t, err)
			last = info
			if n := len(seen); n > 0 && seen[n-1] == info.State {
				continue
			}
			seen = append(seen, info.State)
			switch info.State {
			case tasks.StatePending:
				if len(seen) > 1 { // between the attempts
					continue
				}
				require.Equal(t, []string{"red", "blue"}, info.Tags)
				require.Equal(t, map[string]string{"trace": "1"}, info.Headers)
				require.Equal(t, "high", info.Priority)
				require.Empty(t, info.Attempts)
				require.Nil(t, info.StartedAt)
				taskstest.Serve(t, b, m, "default")
			case tasks.StateStarted:
				require.NotNil(t, info.StartedAt)
				once.Do(func() { close(begin) })
			case tasks.StateProgress:
				require.Equal(t, []any{int64(3), int64(10), "三"}, []any{info.Progress.Done, info.Progress.Total, info.Progress.Note})
				close(finish)
			}
		}
		require.Equal(t, tasks.StatePending, seen[0])
		require.Contains(t, seen, tasks.StateProgress)
		require.Equal(t, tasks.StateSuccess, last.State)
		require.Len(t, last.Attempts, 2)
		require.Equal(t, []string{"retry", "success"}, []string{last.Attempts[0].Outcome, last.Attempts[1].Outcome})
		require.Equal(t, "not this time", last.Attempts[0].Error)
		require.Equal(t, last.Attempts[1].EndedAt.UTC(), *last.CompletedAt, "to the millisecond")
		require.WithinDuration(t, time.Now(), *last.CompletedAt, 10*time.Second)
	})
}

// TestARevokedTaskThatOnlyWaitsToBeDropped is revoked already.
func TestARevokedTaskThatOnlyWaitsToBeDropped(t *testing.T) {
	onEachBroker(t, func(t *testing.T, b *broker.Broker) {
		client := tasks.NewClient(b)
		res, err := sum.Enqueue(t.Context(), client, pair{}, tasks.ID("x"))
		require.NoError(t, err)
		require.NoError(t, b.Redis().HSet(t.Context(), "asynq:{default}:t:x", "revoked", "too late").Err())
		_, err = res.Get(testenv.Soon(t))
		require.ErrorIs(t, err, tasks.ErrRevoked)
		require.ErrorContains(t, err, "too late")
	})
}

func TestManyWait(t *testing.T) {
	t.Parallel()
	b := taskstest.Broker(t, testenv.RedisURL(t))
	client, m := tasks.NewClient(b), mux()
	tasks.Handle(m, sum, func(_ context.Context, a pair) (int, error) { return a.N, nil })
	const many = 1000
	var group sync.WaitGroup
	for i := range many {
		res, err := sum.Enqueue(t.Context(), client, pair{N: i}, tasks.ID(strconv.Itoa(i)))
		require.NoError(t, err)
		group.Go(func() {
			got, err := res.Get(testenv.Soon(t))
			if err != nil || got != i {
				t.Errorf("task %d: %d, %v", i, got, err)
			}
		})
	}
	taskstest.Serve(t, b, m, "default")
	group.Wait()
}

// TestWaitWithoutWakeUps: who waits for results does not wait for work.
func TestWaitWithoutWakeUps(t *testing.T) {
	t.Parallel()
	opt := taskstest.Options(t)
	opt.NoWakeUp = true
	b, err := broker.Open(t.Context(), testenv.RedisURL(t), opt)
	require.NoError(t, err)
	t.Cleanup(func() { _ = b.Close() })
	client, m := tasks.NewClient(b), mux()
	begun := make(chan struct{})
	tasks.Handle(m, sum, func(_ context.Context, a pair) (int, error) {
		<-begun
		return a.N + a.M, nil
	})
	taskstest.Serve(t, b, m, "default")
	res, err := sum.Enqueue(t.Context(), client, pair{N: 1, M: 2})
	require.NoError(t, err)
	time.AfterFunc(50*time.Millisecond, func() { close(begun) })
	got, err := res.Get(testenv.Soon(t))
	require.NoError(t, err)
	require.Equal(t, 3, got)
}

// TestWaitForWhatIsNotKept: the task runs, and nothing is left to tell how it ended.
func TestWaitForWhatIsNotKept(t *testing.T) {
	onEachBroker(t, func(t *testing.T, b *broker.Broker) {
		client, m := tasks.NewClient(b), mux()
		tasks.Handle(m, sum, func(_ context.Context, a pair) (int, error) { return a.N, nil })
		res, err := sum.Enqueue(t.Context(), client, pair{}, tasks.Retention(0))
		require.NoError(t, err)
		var last *tasks.Info
		for info, err := range client.Watch(testenv.Soon(t), res.ID()) {
			if err != nil {
				require.ErrorIs(t, err, tasks.ErrNotFound)
				require.NotNil(t, last)
				require.False(t, last.State.Final(), "the last state seen")
				return
			}
			if last == nil { // from now on it is looked at
				taskstest.Serve(t, b, m, "default")
			}
			last = info
		}
		t.Fatal("an end was seen")
	})
}

func TestLeavingAWatchEndsIt(t *testing.T) {
	t.Parallel()
	client := tasks.NewClient(taskstest.Embedded(t))
	res, err := sum.Enqueue(t.Context(), client, pair{}, tasks.Countdown(time.Hour))
	require.NoError(t, err)
	for info, err := range client.Watch(t.Context(), res.ID()) {
		require.NoError(t, err)
		require.Equal(t, tasks.StatePending, info.State)
		break
	}
}
