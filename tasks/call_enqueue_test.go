package tasks_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/paidui/paidui/deploy/testenv"
	"github.com/paidui/paidui/models/redisx/embedded"
	"github.com/paidui/paidui/tasks"
	"github.com/paidui/paidui/tasks/broker"
	"github.com/paidui/paidui/tasks/taskstest"
)

func TestChosenIDIsTakenOnce(t *testing.T) {
	onEachBroker(t, func(t *testing.T, b *broker.Broker) {
		client, m := tasks.NewClient(b), mux()
		first, err := sum.Enqueue(t.Context(), client, pair{N: 1}, tasks.ID("order:1@shop.example_7"))
		require.NoError(t, err)
		again, err := sum.Enqueue(t.Context(), client, pair{N: 2}, tasks.ID("order:1@shop.example_7"))
		require.ErrorIs(t, err, tasks.ErrDuplicate)
		require.Equal(t, first.ID(), again.ID())
		tasks.Handle(m, sum, func(_ context.Context, a pair) (int, error) { return a.N, nil })
		taskstest.Serve(t, b, m, "default")
		value, err := again.Get(testenv.Soon(t))
		require.NoError(t, err)
		require.Equal(t, 1, value, "the first one's")
		_, err = sum.Enqueue(t.Context(), client, pair{N: 3}, tasks.ID("order:1@shop.example_7"))
		require.ErrorIs(t, err, tasks.ErrDuplicate, "the result is retained")
	})
}

// TestIDsAreOneSpace: a chosen id is a task's, whatever queue the second call names.
func TestIDsAreOneSpace(t *testing.T) {
	onEachBroker(t, func(t *testing.T, b *broker.Broker) {
		client := tasks.NewClient(b)
		first, err := sum.Enqueue(t.Context(), client, pair{N: 1}, tasks.ID("order-1"))
		require.NoError(t, err)
		again, err := sum.Enqueue(t.Context(), client, pair{N: 2}, tasks.ID("order-1"), tasks.Queue("other"))
		require.ErrorIs(t, err, tasks.ErrDuplicate)
		require.Equal(t, first.ID(), again.ID())
		info, err := client.Info(t.Context(), "order-1")
		require.NoError(t, err)
		require.Equal(t, "default", info.Queue)
		_, err = client.Revoke(t.Context(), "order-1")
		require.NoError(t, err)
		require.NoError(t, client.Forget(t.Context(), "order-1"))
		_, err = sum.Enqueue(t.Context(), client, pair{N: 3}, tasks.ID("order-1"), tasks.Queue("other"))
		require.NoError(t, err, "it is free when nothing is known of the task any more")

		// An outbox sends what it holds, and nothing that another queue has.
		p := new(tasks.OutboxMessage)
		require.NoError(t, p.UnmarshalJSON([]byte(`{"id":"order-1","chosen":true,"task":"test.sum","queue":"default","args":{},"timeout":1}`)))
		require.ErrorIs(t, client.Send(t.Context(), []*tasks.OutboxMessage{p})[0], tasks.ErrDuplicate)
	})
}

func TestUniqueFor(t *testing.T) {
	onEachBroker(t, func(t *testing.T, b *broker.Broker) {
		client, m := tasks.NewClient(b), mux()
		first, err := sum.Enqueue(t.Context(), client, pair{N: 1}, tasks.UniqueFor(time.Hour))
		require.NoError(t, err)
		again, err := sum.Enqueue(t.Context(), client, pair{N: 1}, tasks.UniqueFor(time.Hour))
		require.ErrorIs(t, err, tasks.ErrDuplicate)
		require.Equal(t, first.ID(), again.ID())
		// The same arguments in another spelling are the same arguments.
		id, err := sum.EnqueueJSON(t.Context(), client, json.RawMessage(` {"m":0, "n": 1}`), tasks.UniqueFor(time.Hour))
		require.ErrorIs(t, err, tasks.ErrDuplicate)
		require.Equal(t, first.ID(), id)
		other, err := sum.Enqueue(t.Context(), client, pair{N: 2}, tasks.UniqueFor(time.Hour))
		require.NoError(t, err)
		require.NotEqual(t, first.ID(), other.ID())

		tasks.Handle(m, sum, func(_ context.Context, a pair) (int, error) { return a.N, nil })
		taskstest.Serve(t, b, m, "default")
		_, err = first.Get(testenv.Soon(t))
		require.NoError(t, err)
		_, err = sum.Enqueue(t.Context(), client, pair{N: 1}, tasks.UniqueFor(time.Hour))
		require.NoError(t, err, "the first one has succeeded")
	})
}

func TestEnqueueWithoutBroker(t *testing.T) {
	t.Parallel()
	e, err := embedded.Start(t.Context())
	require.NoError(t, err)
	b := taskstest.Broker(t, e.URL(0))
	e.Close()
	_, err = sum.Enqueue(t.Context(), tasks.NewClient(b), pair{})
	require.ErrorContains(t, err, "enqueue test.sum")
	require.ErrorIs(t, err, tasks.ErrBroker)
	var optErr *tasks.OptionError
	require.False(t, errors.As(err, &optErr) || errors.Is(err, tasks.ErrDuplicate))
}

// TestValidIDsNeedNoEscaping: whatever is accepted as an id is safe in a URL path, a Redis key and a log line.
func TestValidIDsNeedNoEscaping(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		id := rapid.String().Draw(t, "id")
		if tasks.ValidID(id) && strings.ContainsAny(id, "/ {}\n\t\"'\\?#%") {
			t.Fatalf("%q is accepted", id)
		}
	})
	for _, queue := range []string{"default", "a_b", "x-1"} {
		require.True(t, tasks.ValidID(tasks.NewID(queue)))
	}
}

// TestTasksAreFoundAfterALossOfData: asynq's client lists a queue once in its life only.
func TestTasksAreFoundAfterALossOfData(t *testing.T) {
	onEachBroker(t, func(t *testing.T, b *broker.Broker) {
		client := tasks.NewClient(b)
		for _, opts := range [][]tasks.Option{{tasks.ID("mine")}, {tasks.ID("mine"), tasks.Countdown(time.Hour)}, nil} {
			_, err := sum.Enqueue(t.Context(), client, pair{}, tasks.Queue("default"))
			require.NoError(t, err)
			require.NoError(t, b.Redis().FlushDB(t.Context()).Err())
			res, err := sum.Enqueue(t.Context(), client, pair{}, opts...)
			require.NoError(t, err)
			require.Eventually(t, func() bool {
				_, err := res.State(t.Context())
				return err == nil
			}, 10*time.Second, time.Millisecond)
		}
	})
}

func TestTasksAreFoundAfterAnEmptyRestart(t *testing.T) {
	t.Parallel()
	server := testenv.Redis(t)
	client := tasks.NewClient(taskstest.Broker(t, server.URL(0)))
	_, err := sum.Enqueue(t.Context(), client, pair{})
	require.NoError(t, err)
	for range 5 {
		server.Kill()
		server.Start()
		var res *tasks.Result[int]
		require.Eventually(t, func() bool {
			res, err = sum.Enqueue(t.Context(), client, pair{})
			return err == nil
		}, 10*time.Second, time.Millisecond)
		require.Eventually(t, func() bool {
			_, err := res.State(t.Context())
			return err == nil
		}, 10*time.Second, time.Millisecond)
	}
}

// losesAnswers is a Redis whose answer to the first script gets lost, so that go-redis runs it again.
type losesAnswers struct{ done atomic.Bool }

func (*losesAnswers) DialHook(next redis.DialHook) redis.DialHook { return next }
func (*losesAnswers) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}
func (l *losesAnswers) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		err := next(ctx, cmd)
		if err == nil && strings.HasPrefix(cmd.Name(), "eval") && !l.done.Swap(true) {
			return next(ctx, cmd) // what a repeat after a lost answer does
		}
		return err
	}
}

func TestLostAnswerIsNoDuplicate(t *testing.T) {
	t.Parallel()
	for name, opts := range map[string][]tasks.Option{"plain": nil, "unique": {tasks.UniqueFor(time.Hour)}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := taskstest.Broker(t, testenv.RedisURL(t))
			client := tasks.NewClient(b)
			_, err := sum.Enqueue(t.Context(), client, pair{N: 1}, opts...) // so that Redis knows the script
			require.NoError(t, err)
			hook := &losesAnswers{}
			b.Redis().AddHook(hook)
			res, err := sum.Enqueue(t.Context(), client, pair{N: 2}, opts...)
			require.NoError(t, err)
			require.True(t, hook.done.Load())
			state, err := res.State(t.Context())
			require.NoError(t, err)
			require.Equal(t, tasks.StatePending, state)
		})
	}
}

func TestConflictKeepsNoUniqueness(t *testing.T) {
	onEachBroker(t, func(t *testing.T, b *broker.Broker) {
		client := tasks.NewClient(b)
		_, err := sum.Enqueue(t.Context(), client, pair{N: 1}, tasks.ID("taken"))
		require.NoError(t, err)
		_, err = sum.Enqueue(t.Context(), client, pair{N: 2}, tasks.ID("taken"), tasks.UniqueFor(time.Hour))
		require.ErrorIs(t, err, tasks.ErrDuplicate)
		_, err = sum.Enqueue(t.Context(), client, pair{N: 2}, tasks.UniqueFor(time.Hour))
		require.NoError(t, err, "nothing with these arguments is there")
	})
}

// TestAnIDOfAnotherQueuesFormIsOneSpaceToo: whoever chooses an id may give it the form of those that are made.
func TestAnIDOfAnotherQueuesFormIsOneSpaceToo(t *testing.T) {
	onEachBroker(t, func(t *testing.T, b *broker.Broker) {
		client := tasks.NewClient(b)
		id := tasks.NewID("low")
		_, err := sum.Enqueue(t.Context(), client, pair{N: 1}, tasks.ID(id))
		require.NoError(t, err)
		again, err := sum.Enqueue(t.Context(), client, pair{N: 2}, tasks.ID(id), tasks.Queue("low"))
		require.ErrorIs(t, err, tasks.ErrDuplicate)
		require.Equal(t, id, again.ID())
		made := tasks.EnqueueMany(t.Context(), client, []tasks.Signature{sum.Signature(pair{N: 3}, tasks.ID(id), tasks.Queue("low"))})
		require.ErrorIs(t, made[0].Err, tasks.ErrDuplicate)
		info, err := client.Info(t.Context(), id)
		require.NoError(t, err)
		require.Equal(t, "default", info.Queue)
		require.JSONEq(t, `{"n":1}`, string(info.Args))

		// One that was made is found from other queues, and one that was made for a task is that task's.
		own, err := sum.Enqueue(t.Context(), client, pair{N: 4})
		require.NoError(t, err)
		_, err = sum.Enqueue(t.Context(), client, pair{N: 5}, tasks.ID(own.ID()), tasks.Queue("low"))
		require.ErrorIs(t, err, tasks.ErrDuplicate)
		id = tasks.NewID("default")
		for range 2 {
			_, err = sum.Enqueue(t.Context(), client, pair{N: 6}, tasks.MadeID(id))
			require.NoError(t, err, "the second is a repetition")
		}
		_, err = sum.Enqueue(t.Context(), client, pair{N: 7}, tasks.ID(id))
		require.ErrorIs(t, err, tasks.ErrDuplicate)
	})
}

func TestChosenIDMayLookLikeAnotherQueues(t *testing.T) {
	t.Parallel()
	b := taskstest.Embedded(t)
	client := tasks.NewClient(b)
	res, err := sum.Enqueue(t.Context(), client, pair{}, tasks.ID(tasks.NewID("low")))
	require.NoError(t, err)
	info, err := client.Info(t.Context(), res.ID())
	require.NoError(t, err)
	require.Equal(t, "default", info.Queue)
}
