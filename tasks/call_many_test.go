package tasks_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/deploy/testenv"
	"github.com/paidui/paidui/tasks"
	"github.com/paidui/paidui/tasks/broker"
	"github.com/paidui/paidui/tasks/taskstest"
)

var evens = tasks.Define[guarded, int]("test.evens", tasks.Queue("evens"))

// TestEnqueueManyTellsTheTruth: each call's outcome is its own, and in its place.
func TestEnqueueManyTellsTheTruth(t *testing.T) {
	onEachBroker(t, func(t *testing.T, b *broker.Broker) {
		client := tasks.NewClient(b)
		held, err := sum.Enqueue(t.Context(), client, pair{N: -1}, tasks.UniqueFor(time.Hour))
		require.NoError(t, err)
		const n = 3000
		calls := make([]tasks.Signature, n)
		for i := range calls {
			id := tasks.ID(fmt.Sprintf("id-%d", i))
			switch i % 10 {
			case 0:
				calls[i] = sum.Signature(pair{N: i}, id)
			case 1:
				calls[i] = sum.Signature(pair{N: i}, tasks.ID(fmt.Sprintf("id-%d", i-1))) // the one before
			case 2:
				calls[i] = sum.Signature(pair{N: i}, tasks.Queue("no queue"))
			case 3:
				calls[i] = evens.Signature(guarded{Even: 2*i + 1}, id)
			case 4:
				calls[i] = evens.Signature(guarded{Even: 2 * i}, id)
			case 5:
				calls[i] = sum.Signature(pair{N: -1}, tasks.UniqueFor(time.Hour))
			case 6:
				calls[i] = quick.Signature(pair{N: i}, tasks.Queue("low"), tasks.Countdown(time.Hour), id)
			case 7:
				calls[i] = sum.Signature(pair{N: i}, tasks.ID("a/b"))
			default:
				calls[i] = quick.Signature(pair{N: i}, tasks.Queue(fmt.Sprintf("q%d", i%4)))
			}
		}
		results := tasks.EnqueueMany(t.Context(), client, calls)
		require.Len(t, results, n)
		seen := make(map[string]bool)
		for i, r := range results {
			own := fmt.Sprintf("id-%d", i)
			var optErr *tasks.OptionError
			var argsErr *tasks.ArgsError
			switch i % 10 {
			case 0, 4, 6:
				require.Equal(t, tasks.Enqueued{ID: own}, r)
			case 1:
				require.ErrorIs(t, r.Err, tasks.ErrDuplicate)
				require.Equal(t, results[i-1].ID, r.ID)
			case 2, 7:
				require.ErrorAs(t, r.Err, &optErr)
				require.Equal(t, map[int]string{2: "queue", 7: "id"}[i%10], optErr.Field)
				require.Empty(t, r.ID)
			case 3:
				require.ErrorAs(t, r.Err, &argsErr)
				require.Equal(t, "even", argsErr.Field)
				require.Empty(t, r.ID)
			case 5:
				require.ErrorIs(t, r.Err, tasks.ErrDuplicate)
				require.Equal(t, held.ID(), r.ID)
			default:
				require.NoError(t, r.Err)
				require.True(t, tasks.ValidID(r.ID))
				require.False(t, seen[r.ID])
				seen[r.ID] = true
			}
		}
		for _, i := range []int{0, 4, 6, 8, 9, 2994, 2999} {
			info, err := client.Info(t.Context(), results[i].ID)
			require.NoError(t, err)
			require.Equal(t, tasks.StatePending, info.State)
		}
		pending, err := b.Redis().LRange(t.Context(), "asynq:{evens}:pending", 0, -1).Result()
		require.NoError(t, err)
		require.Len(t, pending, n/10)
		for i, id := range pending { // the last to start comes first
			require.Equal(t, fmt.Sprintf("id-%d", n-6-10*i), id)
		}
		require.Empty(t, tasks.EnqueueMany(t.Context(), client, nil))
	})
}

func TestEnqueueManyIsRun(t *testing.T) {
	t.Parallel()
	b := taskstest.Embedded(t)
	client, m := tasks.NewClient(b), mux()
	var total atomic.Int64
	tasks.Handle(m, sum, func(_ context.Context, a pair) (int, error) {
		total.Add(int64(a.N))
		return a.N + a.M, nil
	})
	taskstest.Serve(t, b, m, "default")
	calls := make([]tasks.Signature, 300)
	for i := range calls {
		calls[i] = sum.Signature(pair{N: i, M: 1})
	}
	for i, r := range tasks.EnqueueMany(t.Context(), client, calls) {
		require.NoError(t, r.Err)
		value, err := sum.Result(client, r.ID).Get(testenv.Soon(t))
		require.NoError(t, err)
		require.Equal(t, i+1, value)
	}
	require.EqualValues(t, 300*299/2, total.Load())
}

func TestEnqueueManyWithoutBroker(t *testing.T) {
	t.Parallel()
	server := testenv.Redis(t)
	client := tasks.NewClient(taskstest.Broker(t, server.URL(0)))
	calls := make([]tasks.Signature, 600)
	for i := range calls {
		calls[i] = sum.Signature(pair{N: i})
		if i%2 == 1 {
			calls[i] = evens.Signature(guarded{Even: i})
		}
	}
	require.NoError(t, tasks.EnqueueMany(t.Context(), client, calls)[0].Err)
	server.Kill()
	for i, r := range tasks.EnqueueMany(t.Context(), client, calls) {
		var argsErr *tasks.ArgsError
		require.Empty(t, r.ID)
		if i%2 == 1 { // that is known all the same
			require.ErrorAs(t, r.Err, &argsErr)
			continue
		}
		require.ErrorIs(t, r.Err, tasks.ErrBroker)
		require.NotErrorIs(t, r.Err, tasks.ErrDuplicate)
	}
	server.Start()
	require.Eventually(t, func() bool {
		return tasks.EnqueueMany(t.Context(), client, calls[:1])[0].Err == nil
	}, 10*time.Second, 10*time.Millisecond)
	for i, r := range tasks.EnqueueMany(t.Context(), client, calls) {
		require.Equal(t, i%2 == 0, r.Err == nil, "%v", r.Err)
	}
}

func TestEnqueueManyOfACallerThatHasLeft(t *testing.T) {
	t.Parallel()
	client := tasks.NewClient(taskstest.Embedded(t))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	calls := make([]tasks.Signature, 1000)
	for i := range calls {
		calls[i] = sum.Signature(pair{N: i}, tasks.ID(fmt.Sprint(i)))
	}
	for i, r := range tasks.EnqueueMany(ctx, client, calls) {
		if r.Err == nil {
			require.Equal(t, fmt.Sprint(i), r.ID)
			continue
		}
		require.ErrorIs(t, r.Err, tasks.ErrBroker, "it may be stored or not")
		require.ErrorIs(t, r.Err, context.Canceled)
	}
}

// gateOf is one whose function has the body.
func gateOf(body string) *broker.GateScript {
	return broker.LoadGate(fstest.MapFS{"gate.lua": {Data: []byte("function gate(ARGV)\n" + body + "\nend")}}, "gate.lua")
}

func TestEnqueueIf(t *testing.T) {
	onEachBroker(t, func(t *testing.T, b *broker.Broker) {
		client := tasks.NewClient(b)
		gate := broker.Gate{Script: gateOf("return redis.call('SETNX', KEYS[1], ARGV[1]) == 1, 'gate'"), Keys: []string{"paidui:{gate}"}, Args: []any{1}}
		id, made, reply, err := sum.EnqueueIf(t.Context(), client, gate, pair{N: 1}, tasks.ID("one"))
		require.NoError(t, err)
		require.Equal(t, []any{"one", true, "gate"}, []any{id, made, reply})
		id, made, reply, err = sum.EnqueueIf(t.Context(), client, gate, pair{N: 2})
		require.NoError(t, err)
		require.Equal(t, []any{"", false, "gate"}, []any{id, made, reply})

		open := broker.Gate{Script: gateOf("return true")}
		id, made, _, err = sum.EnqueueIf(t.Context(), client, open, pair{N: 2}, tasks.ID("one"))
		require.ErrorIs(t, err, tasks.ErrDuplicate)
		require.Equal(t, []any{"one", false}, []any{id, made})
		var optErr *tasks.OptionError
		_, _, _, err = sum.EnqueueIf(t.Context(), client, open, pair{}, tasks.Queue("a b"))
		require.ErrorAs(t, err, &optErr)
		var argsErr *tasks.ArgsError
		_, _, _, err = evens.EnqueueIf(t.Context(), client, open, guarded{Even: 1})
		require.ErrorAs(t, err, &argsErr)
		_, made, _, err = sum.EnqueueIf(t.Context(), client, broker.Gate{Script: gateOf("error('broken')")}, pair{})
		require.ErrorIs(t, err, tasks.ErrBroker)
		require.False(t, made)
	})
}
