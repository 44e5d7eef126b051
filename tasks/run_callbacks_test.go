package tasks_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/deploy/testenv"
	"github.com/paidui/paidui/tasks"
	"github.com/paidui/paidui/tasks/broker"
	"github.com/paidui/paidui/tasks/taskstest"
)

var (
	parentJob = tasks.Define[pair, string]("test.parent", tasks.MaxRetries(0))
	afterJob  = tasks.Define[pair, int]("test.after")
)

// told is what a callback saw.
type told struct {
	id, requestID string
	parent        tasks.Parent
	result        string
	err           error
}

// callbackMux has a parent that ends as run says, and callbacks that tell what they saw.
func callbackMux(client *tasks.Client, run func(ctx context.Context, a pair) (string, error)) (*tasks.Mux, chan told) {
	m := tasks.NewMux(tasks.MuxOptions{Logger: testenv.Quiet(), Client: client})
	saw := make(chan told, 16)
	tasks.Handle(m, parentJob, run)
	tasks.Handle(m, afterJob, func(ctx context.Context, _ pair) (int, error) {
		task := tasks.Current(ctx)
		result, err := tasks.ParentResult[string](ctx)
		saw <- told{task.ID, task.RequestID, *task.Parent, result, err}
		return 0, nil
	})
	return m, saw
}

func receive(t *testing.T, saw <-chan told) told {
	t.Helper()
	select {
	case s := <-saw:
		return s
	case <-testenv.Soon(t).Done():
		t.Fatal("no callback")
		return told{}
	}
}

func TestCallbacks(t *testing.T) {
	onEachBroker(t, func(t *testing.T, b *broker.Broker) {
		client := tasks.NewClient(b)
		m, saw := callbackMux(client, func(_ context.Context, a pair) (string, error) {
			if a.N == 0 {
				return "", errors.New("no luck")
			}
			return "luck", nil
		})
		taskstest.Serve(t, b, m, "default")
		callbacks := []tasks.Option{
			tasks.OnSuccess(afterJob.Signature(pair{N: 1}, tasks.ID("success-1")), afterJob.Signature(pair{N: 2})),
			tasks.OnFailure(afterJob.Signature(pair{N: 3}, tasks.ID("failure-1"))),
		}
		ctx := tasks.WithRequestID(t.Context(), "req-9")
		good, err := parentJob.Enqueue(ctx, client, pair{N: 1}, callbacks...)
		require.NoError(t, err)
		seen := map[string]told{}
		for range 2 {
			s := receive(t, saw)
			require.Equal(t, tasks.Parent{ID: good.ID(), Task: "test.parent", State: tasks.StateSuccess, Result: []byte(`"luck"`)}, s.parent)
			require.Equal(t, "luck", s.result)
			require.NoError(t, s.err)
			require.Equal(t, "req-9", s.requestID)
			seen[s.id] = s
		}
		require.Len(t, seen, 2)
		require.Contains(t, seen, "success-1")

		bad, err := parentJob.Enqueue(ctx, client, pair{}, callbacks...)
		require.NoError(t, err)
		s := receive(t, saw)
		require.Equal(t, "failure-1", s.id)
		require.Equal(t, tasks.Parent{ID: bad.ID(), Task: "test.parent", State: tasks.StateFailure, Error: "no luck"}, s.parent)
		var failure *tasks.FailureError
		require.ErrorAs(t, s.err, &failure)
		require.Equal(t, bad.ID(), failure.ID)
		require.Empty(t, saw)
	})
}

func TestCallbacksOfFailuresWithoutARun(t *testing.T) {
	t.Parallel()
	b := taskstest.Embedded(t)
	client := tasks.NewClient(b)
	finish := make(chan struct{})
	t.Cleanup(func() { close(finish) })
	m, saw := callbackMux(client, func(context.Context, pair) (string, error) {
		<-finish
		return "", nil
	})
	taskstest.Serve(t, b, m, "default")
	_, err := parentJob.Enqueue(t.Context(), client, pair{}, tasks.Timeout(10*time.Millisecond), tasks.HardTimeout(30*time.Millisecond),
		tasks.OnFailure(afterJob.Signature(pair{})))
	require.NoError(t, err)
	require.Contains(t, receive(t, saw).parent.Error, "exceeded its hard time limit of 30ms")
}

func TestRevokedTasksCallNobody(t *testing.T) {
	t.Parallel()
	b := taskstest.Embedded(t)
	client := tasks.NewClient(b)
	m, saw := callbackMux(client, func(context.Context, pair) (string, error) { return "", nil })
	late, err := parentJob.Enqueue(t.Context(), client, pair{}, tasks.ExpiresIn(time.Millisecond),
		tasks.OnSuccess(afterJob.Signature(pair{})), tasks.OnFailure(afterJob.Signature(pair{})))
	require.NoError(t, err)
	<-time.After(5 * time.Millisecond)
	taskstest.Serve(t, b, m, "default")
	_, err = late.Get(testenv.Soon(t))
	require.ErrorIs(t, err, tasks.ErrRevoked)
	last, err := parentJob.Enqueue(t.Context(), client, pair{}, tasks.OnSuccess(afterJob.Signature(pair{})))
	require.NoError(t, err)
	require.Equal(t, last.ID(), receive(t, saw).parent.ID, "the first and only one")
	require.Empty(t, saw)
}

// TestCallbacksAreMadeOnce: the parent runs again after its callbacks were enqueued, and one has even ended.
func TestCallbacksAreMadeOnce(t *testing.T) {
	t.Parallel()
	for name, opts := range map[string][]tasks.Option{"standard": nil, "no retention": {tasks.Retention(0)}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := taskstest.Embedded(t)
			client := tasks.NewClient(b)
			m, saw := callbackMux(client, func(context.Context, pair) (string, error) { return "", nil })
			// Tasks with the same resolved callback are what deliveries of one task are to the callback.
			callback, id, err := afterJob.Signature(pair{}, opts...).Resolve(t.Context(), client)
			require.NoError(t, err)
			taskstest.Serve(t, b, m, "default")
			for range 3 {
				res, err := parentJob.Enqueue(t.Context(), client, pair{}, tasks.OnSuccess(callback))
				require.NoError(t, err)
				_, err = res.Get(testenv.Soon(t))
				require.NoError(t, err)
				_, err = afterJob.Result(client, id).Get(testenv.Soon(t))
				require.NoError(t, err)
			}
			require.Equal(t, id, receive(t, saw).id)
			require.Empty(t, saw)
		})
	}
}

func TestCallbacksWantAClient(t *testing.T) {
	t.Parallel()
	b := taskstest.Embedded(t)
	client, m := tasks.NewClient(b), mux()
	tasks.Handle(m, parentJob, func(context.Context, pair) (string, error) {
		t.Error("it must not run")
		return "", nil
	})
	taskstest.Serve(t, b, m, "default")
	res, err := parentJob.Enqueue(t.Context(), client, pair{}, tasks.OnSuccess(afterJob.Signature(pair{})))
	require.NoError(t, err)
	_, err = res.Get(testenv.Soon(t))
	require.ErrorContains(t, err, "set MuxOptions.Client")
}

// TestCallbacksWaitForRedis: it goes away between the handler's return and the callback.
func TestCallbacksWaitForRedis(t *testing.T) {
	t.Parallel()
	server := testenv.Redis(t, testenv.WithArgs("--appendonly", "yes", "--appendfsync", "always"))
	b := taskstest.Broker(t, server.URL(0))
	client := tasks.NewClient(b)
	var runs atomic.Int32
	returning, away := make(chan struct{}), make(chan struct{})
	m, saw := callbackMux(client, func(context.Context, pair) (string, error) {
		if runs.Add(1) == 1 {
			close(returning)
			<-away
		}
		return "back", nil
	})
	taskstest.Serve(t, b, m, "default")
	res, err := parentJob.Enqueue(t.Context(), client, pair{}, tasks.OnSuccess(afterJob.Signature(pair{})))
	require.NoError(t, err)
	<-returning
	server.Kill()
	close(away)
	<-time.After(300 * time.Millisecond) // some tries fail
	server.Start()
	require.Equal(t, "back", receive(t, saw).result)
	value, err := res.Get(testenv.Soon(t))
	require.NoError(t, err)
	require.Equal(t, "back", value)
	require.Equal(t, int32(1), runs.Load())
}

func TestParentResult(t *testing.T) {
	t.Parallel()
	_, err := tasks.ParentResult[int](t.Context())
	require.ErrorIs(t, err, tasks.ErrNoTask)
	b := taskstest.Embedded(t)
	client, m := tasks.NewClient(b), mux()
	tasks.Handle(m, sum, func(ctx context.Context, _ pair) (int, error) {
		_, err := tasks.ParentResult[int](ctx)
		return 0, err
	})
	taskstest.Serve(t, b, m, "default")
	res, err := sum.Enqueue(t.Context(), client, pair{}, tasks.MaxRetries(0))
	require.NoError(t, err)
	_, err = res.Get(testenv.Soon(t))
	require.ErrorContains(t, err, tasks.ErrNoParent.Error())
}

func TestHeadersAndTagsReachTheHandler(t *testing.T) {
	t.Parallel()
	b := taskstest.Embedded(t)
	client, m := tasks.NewClient(b), mux()
	tasks.Handle(m, parentJob, func(ctx context.Context, _ pair) (string, error) {
		task := tasks.Current(ctx)
		return task.Headers["tenant"] + " " + strings.Join(task.Tags, ","), nil
	})
	taskstest.Serve(t, b, m, "default")
	res, err := parentJob.Enqueue(t.Context(), client, pair{}, tasks.Header("tenant", "blue"), tasks.Tags("a", "b"))
	require.NoError(t, err)
	value, err := res.Get(testenv.Soon(t))
	require.NoError(t, err)
	require.Equal(t, "blue a,b", value)
}

// The broker of the callbacks stays away until the worker must give the attempt up.
func TestCallbacksThatCannotBeMadeCostNoRetry(t *testing.T) {
	t.Parallel()
	b, elsewhere := taskstest.Broker(t, testenv.RedisURL(t)), testenv.Redis(t)
	client := tasks.NewClient(b)
	m, _ := callbackMux(tasks.NewClient(taskstest.Broker(t, elsewhere.URL(0))), func(context.Context, pair) (string, error) { return "luck", nil })
	elsewhere.Stop()
	taskstest.Serve(t, b, m, "default")
	res, err := parentJob.Enqueue(t.Context(), client, pair{N: 1}, tasks.Timeout(time.Millisecond), tasks.HardTimeout(900*time.Millisecond),
		tasks.OnSuccess(afterJob.Signature(pair{N: 1}, tasks.ID("later"))))
	require.NoError(t, err)
	var info *tasks.Info
	require.Eventually(t, func() bool {
		info, err = client.Info(t.Context(), res.ID())
		require.NoError(t, err)
		return len(info.Attempts) > 0
	}, time.Minute, 20*time.Millisecond)
	require.Equal(t, "interrupted", info.Attempts[0].Outcome)
	require.Contains(t, info.Attempts[0].Error, "callbacks could not be enqueued")
	require.Zero(t, info.Retries)

	elsewhere.Start()
	value, err := res.Get(testenv.Soon(t))
	require.NoError(t, err, "it has no retries, and needs none")
	require.Equal(t, "luck", value)
	info, err = client.Info(t.Context(), res.ID())
	require.NoError(t, err)
	require.Zero(t, info.Retries)
	require.Zero(t, info.Crashes)
	made, err := tasks.NewClient(taskstest.Broker(t, elsewhere.URL(0))).Info(t.Context(), "later")
	require.NoError(t, err)
	require.Equal(t, tasks.StatePending, made.State)
}

// cutOutbox is one whose database does not answer the first call: that one ends with its context. It keeps nothing.
type cutOutbox struct {
	client *tasks.Client
	puts   atomic.Int32
}

func (o *cutOutbox) Client() *tasks.Client { return o.client }
func (o *cutOutbox) Ended(string)          {}

func (o *cutOutbox) Put(ctx context.Context, messages ...*tasks.OutboxMessage) error {
	if o.puts.Add(1) == 1 {
		<-ctx.Done()
		return ctx.Err()
	}
	return errors.Join(o.client.Send(ctx, messages)...)
}

func (o *cutOutbox) Find(context.Context, string) (*tasks.OutboxMessage, string, error) {
	return nil, "", nil
}
func (o *cutOutbox) Remove(context.Context, string) (bool, error) { return false, nil }

// TestACallbackOutlivesTheTimeOfItsAttempt: what ends with the attempt's time is not refused, and comes with the next attempt.
func TestACallbackOutlivesTheTimeOfItsAttempt(t *testing.T) {
	t.Parallel()
	b := taskstest.Embedded(t)
	client := tasks.NewClient(b)
	outbox := &cutOutbox{client: client}
	client.UseOutbox(outbox)
	mux, saw := callbackMux(client, func(context.Context, pair) (string, error) { return "done", nil })
	taskstest.Serve(t, b, mux, "default")
	_, err := parentJob.Enqueue(t.Context(), client, pair{}, tasks.Timeout(time.Second), tasks.HardTimeout(2*time.Second),
		tasks.OnSuccess(afterJob.Signature(pair{}, tasks.ID("after"), tasks.Durable())))
	require.NoError(t, err)
	require.Equal(t, "after", receive(t, saw).id)
	require.GreaterOrEqual(t, outbox.puts.Load(), int32(2))
}
