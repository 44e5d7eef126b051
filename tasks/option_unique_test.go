package tasks_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/deploy/testenv"
	"github.com/paidui/paidui/tasks"
	"github.com/paidui/paidui/tasks/broker"
	"github.com/paidui/paidui/tasks/taskstest"
)

func TestUniqueUntilDoneEndsWithTheTask(t *testing.T) {
	onEachBroker(t, func(t *testing.T, b *broker.Broker) {
		client, m := tasks.NewClient(b), mux()
		once := []tasks.Option{tasks.UniqueUntilDone(), tasks.UniqueKey("user:7"), tasks.MaxRetries(0)}
		failing, err := sum.Enqueue(t.Context(), client, pair{N: 1}, once...)
		require.NoError(t, err)
		again, err := sum.Enqueue(t.Context(), client, pair{N: 2}, once...)
		require.ErrorIs(t, err, tasks.ErrDuplicate, "the key counts, not the arguments")
		require.Equal(t, failing.ID(), again.ID())
		elsewhere, err := sum.Enqueue(t.Context(), client, pair{N: 1}, append(once, tasks.Queue("low"))...)
		require.NoError(t, err, "another queue")
		require.NotEqual(t, failing.ID(), elsewhere.ID())

		tasks.Handle(m, sum, func(_ context.Context, a pair) (int, error) { return 0, errors.New("no") })
		taskstest.Serve(t, b, m, "default")
		var failure *tasks.FailureError
		_, err = failing.Get(testenv.Soon(t))
		require.ErrorAs(t, err, &failure)
		next, err := sum.Enqueue(t.Context(), client, pair{N: 2}, once...)
		require.NoError(t, err, "the first one has failed")
		require.NotEqual(t, failing.ID(), next.ID())
	})
}

func TestThrottledDuplicateLearnsTheFirst(t *testing.T) {
	onEachBroker(t, func(t *testing.T, b *broker.Broker) {
		client, m := tasks.NewClient(b), mux()
		tasks.Handle(m, sum, func(_ context.Context, a pair) (int, error) { return a.N, nil })
		taskstest.Serve(t, b, m, "default")
		hourly := []tasks.Option{tasks.Throttle(time.Hour)}
		first, err := sum.Enqueue(t.Context(), client, pair{N: 1}, hourly...)
		require.NoError(t, err)
		_, err = first.Get(testenv.Soon(t))
		require.NoError(t, err)
		again, err := sum.Enqueue(t.Context(), client, pair{N: 1}, hourly...)
		require.ErrorIs(t, err, tasks.ErrDuplicate, "also after it has ended")
		require.Equal(t, first.ID(), again.ID())
		for i, r := range tasks.EnqueueMany(t.Context(), client, []tasks.Signature{
			sum.Signature(pair{N: 1}, hourly...), sum.Signature(pair{N: 2}, hourly...), sum.Signature(pair{N: 2}, hourly...),
		}) {
			require.Equal(t, i != 1, errors.Is(r.Err, tasks.ErrDuplicate), "%d: %v", i, r.Err)
			require.Equal(t, i == 0, r.ID == first.ID())
		}
	})
}

// TestTheLastCallOfAWindowWins: with its arguments, headers and tags, under the first one's id.
func TestTheLastCallOfAWindowWins(t *testing.T) {
	onEachBroker(t, func(t *testing.T, b *broker.Broker) {
		client, m := tasks.NewClient(b), mux()
		var mu sync.Mutex
		var ran []int
		tasks.Handle(m, sum, func(_ context.Context, a pair) (int, error) {
			mu.Lock()
			defer mu.Unlock()
			ran = append(ran, a.N)
			return a.N, nil
		})
		taskstest.Serve(t, b, m, "default")
		const window = 2 * time.Second
		begun := time.Now()
		var first *tasks.Result[int]
		for n := 1; n <= 5; n++ {
			res, err := sum.Enqueue(t.Context(), client, pair{N: n}, tasks.Debounce(window), tasks.UniqueKey("page:7"), tasks.Header("n", fmt.Sprint(n)))
			require.NoError(t, err)
			if first == nil {
				first = res
			}
			require.Equal(t, first.ID(), res.ID())
		}
		other, err := sum.Enqueue(t.Context(), client, pair{N: 100}, tasks.Debounce(window), tasks.UniqueKey("page:8"))
		require.NoError(t, err)
		require.NotEqual(t, first.ID(), other.ID())
		if time.Since(begun) >= window {
			t.Skip("the machine is too slow to make the calls within the window")
		}
		value, err := first.Get(testenv.Soon(t))
		require.NoError(t, err)
		require.Equal(t, 5, value)
		require.GreaterOrEqual(t, time.Since(begun), window)
		value, err = other.Get(testenv.Soon(t))
		require.NoError(t, err)
		require.Equal(t, 100, value)
		mu.Lock()
		defer mu.Unlock()
		require.ElementsMatch(t, []int{5, 100}, ran)
	})
}

func TestHighOvertakesNormalOvertakesLow(t *testing.T) {
	onEachBroker(t, func(t *testing.T, b *broker.Broker) {
		client, m := tasks.NewClient(b), mux()
		calls := make([]tasks.Signature, 0, 303)
		for n := range 300 {
			calls = append(calls, sum.Signature(pair{N: n}))
		}
		high := sum.Signature(pair{N: 1000}, tasks.Priority(tasks.High))
		for _, r := range tasks.EnqueueMany(t.Context(), client, append(calls, high)) {
			require.NoError(t, r.Err)
		}
		order := make(chan int, 400)
		tasks.Handle(m, sum, func(_ context.Context, a pair) (int, error) {
			order <- a.N
			return 0, nil
		})
		taskstest.Serve(t, b, m, "default")
		for place := range 301 {
			select {
			case n := <-order:
				if n == 1000 {
					require.Less(t, place, 50, "it overtook the backlog")
					return
				}
			case <-testenv.Soon(t).Done():
				t.Fatal("not run")
			}
		}
	})
}
