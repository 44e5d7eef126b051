package taskstest

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/hibiken/asynq"
	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/models/redisx/embedded"
	"github.com/paidui/paidui/tasks"
	"github.com/paidui/paidui/tasks/broker"
	"github.com/paidui/paidui/tasks/broker/fetch"
)

// Config configures a Queue.
type Config struct {
	// Bind gives tasks their handlers. With it they run inline: an enqueue returns when its task has ended or waits for a
	// time, and so does the commit of a transaction with EnqueueTx, if the database has an outbox of the queue's Client,
	// which needs no Run. Without it nothing runs.
	Bind func(m *tasks.Mux, c *tasks.Client)
	// Routes are the client's.
	Routes tasks.Routes
}

// Queue is a broker of one test's own, on an embedded Redis, with a clock that stands still. It notes what is enqueued.
type Queue struct {
	Client *tasks.Client
	Broker *broker.Broker
	Clock  *Clock

	t        testing.TB
	embedded *embedded.Redis
	mux      *tasks.Mux

	mu       sync.Mutex
	enqueued []enqueued
	served   map[string]bool
}

// New makes a queue that lives as long as the test.
func New(t testing.TB, opt Config) *Queue {
	t.Helper()
	e, err := embedded.Start(context.WithoutCancel(t.Context())) // it outlives the test's workers
	require.NoError(t, err)
	t.Cleanup(e.Close)
	q := &Queue{Clock: newClock(), t: t, embedded: e, Broker: Broker(t, e.URL(0)), served: make(map[string]bool)}
	q.Client = tasks.NewClient(q.Broker, tasks.ClientOptions{
		Routes: opt.Routes, Now: q.Clock.Now, Enqueued: q.note, Immediate: true,
	})
	if opt.Bind != nil {
		q.mux = tasks.NewMux(tasks.MuxOptions{Logger: slog.New(slog.DiscardHandler), Client: q.Client, Now: q.Clock.Now})
		opt.Bind(q.mux, q.Client)
	}
	return q
}

// patience bounds how long a task may take.
const patience = time.Minute

// note takes down what was enqueued, and waits until it has run.
func (q *Queue) note(ctx context.Context, id string, m *broker.Message) {
	q.mu.Lock()
	q.enqueued = append(q.enqueued, enqueued{id, m})
	serve := q.mux != nil && !q.served[m.Queue]
	q.served[m.Queue] = q.mux != nil
	q.mu.Unlock()
	if serve {
		q.serve(m.Queue)
	}
	if q.mux != nil {
		q.settle(ctx, id)
	}
}

// slots is how deep tasks may enqueue tasks that enqueue tasks.
const slots = 64

// serve runs a queue's tasks.
func (q *Queue) serve(queue string) {
	weights := map[string]int{queue: 1}
	fetcher := fetch.New(q.Broker, fetch.Config{Name: "inline", Queues: weights, Slots: slots})
	cfg := q.mux.Engine(asynq.Config{
		Concurrency:     slots,
		Queues:          weights,
		LogLevel:        asynq.FatalLevel,
		ShutdownTimeout: 5 * time.Second,
		BaseContext:     func() context.Context { return fetcher.Context(context.Background()) },
	})
	server := asynq.NewServerFromRedisClient(fetcher, cfg)
	if err := server.Start(q.mux); err != nil {
		q.t.Errorf("serve %s: %v", queue, err)
		return
	}
	q.t.Cleanup(func() {
		fetcher.Stop()
		server.Shutdown()
		fetcher.Leave()
	})
}

// settle returns when the task has ended or waits for a time.
func (q *Queue) settle(ctx context.Context, id string) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for info, err := range q.Client.Watch(ctx, id) {
		switch {
		case errors.Is(err, tasks.ErrNotFound): // it has ended and nothing is kept
			return
		case err != nil:
			q.t.Errorf("task %s did not end: %v", id, err)
			return
		case info.NextRunAt != nil:
			return
		}
	}
}

// Advance moves the clock by d, and runs each task at its time: the earliest first, and also those that they enqueue or
// that are retried meanwhile.
func (q *Queue) Advance(d time.Duration) {
	q.t.Helper()
	inspector := asynq.NewInspectorFromRedisClient(q.Broker.Redis())
	end := q.Clock.Now().Add(d)
	for q.mux != nil {
		next := q.earliest(inspector, end)
		if next == nil {
			break
		}
		q.forward(next.NextProcessAt)
		require.NoError(q.t, inspector.RunTask(next.Queue, next.ID))
		require.NoError(q.t, q.Broker.Ring(q.t.Context(), next.Queue))
		q.settle(q.t.Context(), next.ID)
	}
	q.forward(end)
}

// forward moves the clock, and with it what expires in Redis.
func (q *Queue) forward(now time.Time) {
	if ahead := now.Sub(q.Clock.Now()); ahead > 0 {
		q.embedded.FastForward(ahead)
		q.Clock.set(now)
	}
}

// earliest is the task that waits for the earliest time until end, nil without one.
func (q *Queue) earliest(inspector *asynq.Inspector, end time.Time) *asynq.TaskInfo {
	q.t.Helper()
	queues, err := inspector.Queues()
	require.NoError(q.t, err)
	var first *asynq.TaskInfo
	for _, queue := range queues {
		for _, list := range []func(string, ...asynq.ListOption) ([]*asynq.TaskInfo, error){
			inspector.ListScheduledTasks, inspector.ListRetryTasks,
		} {
			waiting, err := list(queue, asynq.PageSize(1)) // they are in the order of their times
			require.NoError(q.t, err)
			if len(waiting) > 0 && !waiting[0].NextProcessAt.After(end) && (first == nil || waiting[0].NextProcessAt.Before(first.NextProcessAt)) {
				first = waiting[0]
			}
		}
	}
	return first
}
