package pool_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hibiken/asynq"
	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/deploy/testenv"
	"github.com/paidui/paidui/models/redisx/embedded"
	"github.com/paidui/paidui/tasks"
	"github.com/paidui/paidui/tasks/broker"
	"github.com/paidui/paidui/tasks/broker/fetch"
	"github.com/paidui/paidui/tasks/taskstest"
	"github.com/paidui/paidui/worker/pool"
)

// onEach runs a test on a Redis, on the embedded one, and on a Redis Cluster.
func onEach(t *testing.T, test func(t *testing.T, b *broker.Broker)) {
	t.Parallel()
	for name, url := range map[string]func(t *testing.T) string{
		"redis":   func(t *testing.T) string { return testenv.RedisURL(t) },
		"cluster": func(t *testing.T) string { return testenv.RedisCluster(t) },
		"embedded": func(t *testing.T) string {
			e, err := embedded.Start(context.WithoutCancel(t.Context()))
			require.NoError(t, err)
			t.Cleanup(e.Close)
			return e.URL(0)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, taskstest.Broker(t, url(t)))
		})
	}
}

// handling is a mux with a handler: a worker without one keeps no record.
func handling() *tasks.Mux {
	m := mux()
	tasks.Handle(m, job, func(context.Context, none) (string, error) { return "", nil })
	return m
}

// gated are tasks that run until they are let go.
type gated struct {
	running, most, ended atomic.Int64
	finish               chan struct{} // each element ends one
}

func gate(m *tasks.Mux) *gated {
	g := &gated{finish: make(chan struct{})}
	tasks.Handle(m, job, func(ctx context.Context, _ none) (string, error) {
		now := g.running.Add(1)
		for {
			most := g.most.Load()
			if now <= most || g.most.CompareAndSwap(most, now) {
				break
			}
		}
		defer func() { g.running.Add(-1); g.ended.Add(1) }()
		<-g.finish
		return "done", nil
	})
	return g
}

func (g *gated) await(t *testing.T, running int64) {
	t.Helper()
	testenv.Eventually(t, func() bool { return g.running.Load() == running }, "tasks run", running)
}

func (g *gated) release(n int) {
	for range n {
		g.finish <- struct{}{}
	}
}

func enqueueMany(t *testing.T, c *tasks.Client, n int, opts ...tasks.Option) {
	t.Helper()
	for range n {
		_, err := job.Enqueue(t.Context(), c, none{}, opts...)
		require.NoError(t, err)
	}
}

// named starts a pool of that name, and waits until it is in the list of workers.
func named(t *testing.T, b *broker.Broker, m *tasks.Mux, name string, changes ...func(*pool.Config)) (ended chan error) {
	t.Helper()
	cfg := config()
	cfg.Name, cfg.Version, cfg.LogLevel = name, "v1.2.3", new(slog.LevelVar)
	for _, c := range changes {
		c(&cfg)
	}
	p, err := pool.New(b, m, cfg)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ended, over := make(chan error, 1), make(chan struct{})
	go func() { defer close(over); ended <- p.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-over })
	client := tasks.NewClient(b)
	testenv.Eventually(t, func() bool {
		w, err := client.Worker(t.Context(), name)
		return err == nil && w.Commands
	}, "the worker is in the list")
	return ended
}

func TestResizeAWorker(t *testing.T) {
	onEach(t, func(t *testing.T, b *broker.Broker) {
		client, m := tasks.NewClient(b), mux()
		g := gate(m)
		named(t, b, m, "w1")
		enqueueMany(t, client, 12)
		g.await(t, 2)
		w, err := client.ResizeWorker(t.Context(), "w1", 5)
		require.NoError(t, err)
		require.Equal(t, 5, w.Slots)
		g.await(t, 5)
		w, err = client.ResizeWorker(t.Context(), "w1", 1)
		require.NoError(t, err)
		require.Equal(t, []int{1, 5}, []int{w.Slots, w.Running}, "what runs goes on")
		require.EqualValues(t, 5, g.most.Load())
		testenv.Eventually(t, func() bool { // asynq's tools see the same
			servers, err := asynq.NewInspectorFromRedisClient(b.Redis()).Servers()
			return err == nil && len(servers) == 1 && servers[0].Concurrency == 1
		})
		g.release(4)
		g.await(t, 1)
		g.most.Store(0)
		g.release(8)
		testenv.Eventually(t, func() bool { return g.ended.Load() == 12 })
		require.EqualValues(t, 1, g.most.Load(), "one at a time")
	})
}

func TestWhatAWorkerRuns(t *testing.T) {
	onEach(t, func(t *testing.T, b *broker.Broker) {
		client, m := tasks.NewClient(b), mux()
		finish := make(chan struct{})
		tasks.Handle(m, job, func(ctx context.Context, _ none) (string, error) {
			require.NoError(t, tasks.Progress(ctx, 3, 10, "on it"))
			<-finish
			return "", nil
		})
		begun := time.Now()
		named(t, b, m, "w1")
		_, err := job.Enqueue(t.Context(), client, none{}, tasks.ID("slow"), tasks.Timeout(time.Minute))
		require.NoError(t, err)
		var w *tasks.Worker
		testenv.Eventually(t, func() bool {
			page, next, err := client.Workers(t.Context(), "", 10)
			require.NoError(t, err)
			require.Len(t, page, 1)
			require.Empty(t, next)
			w = page[0]
			return len(w.Runs) == 1 && w.Runs[0].Progress != nil && w.Runs[0].Deadline != nil
		})
		require.Equal(t, []any{"w1", "v1.2.3", tasks.WorkerServing, 2, 1, "info", true},
			[]any{w.Name, w.Version, w.Phase, w.Slots, w.Running, w.LogLevel, w.Commands})
		require.NotEmpty(t, w.Host)
		require.NotZero(t, w.PID)
		require.Equal(t, map[string]int{"default": 3, "low": 1}, w.Queues)
		require.Equal(t, []string{"test.job"}, w.TaskTypes)
		require.WithinRange(t, *w.Since, begun.Add(-time.Second), time.Now())
		r := w.Runs[0]
		require.Equal(t, []any{"slow", "test.job", "default", 1}, []any{r.ID, r.Task, r.Queue, r.Attempt})
		require.Contains(t, string(r.Progress), `"done":3,"total":10,"note":"on it"`)
		require.WithinDuration(t, r.Since.Add(time.Minute), *r.Deadline, time.Minute/2)
		close(finish)
		testenv.Eventually(t, func() bool {
			w, err := client.Worker(t.Context(), w.ID)
			return err == nil && w.Running == 0 && len(w.Runs) == 0
		})
	})
}

func TestPauseAndResumeAWorker(t *testing.T) {
	onEach(t, func(t *testing.T, b *broker.Broker) {
		client, m := tasks.NewClient(b), mux()
		g := gate(m)
		named(t, b, m, "w1")
		enqueueMany(t, client, 2)
		g.await(t, 2)
		w, err := client.PauseWorker(t.Context(), "w1")
		require.NoError(t, err)
		require.Equal(t, tasks.WorkerPaused, w.Phase)
		enqueueMany(t, client, 3)
		g.release(2)
		testenv.Eventually(t, func() bool { return g.ended.Load() == 2 })
		info, err := asynq.NewInspectorFromRedisClient(b.Redis()).GetQueueInfo("default")
		require.NoError(t, err)
		require.Equal(t, 3, info.Pending, "nothing is fetched ahead, or begins")
		require.Zero(t, g.running.Load())
		w, err = client.ResumeWorker(t.Context(), "w1")
		require.NoError(t, err)
		require.Equal(t, tasks.WorkerServing, w.Phase)
		g.release(3)
		testenv.Eventually(t, func() bool { return g.ended.Load() == 5 })
	})
}

func TestChangeAWorkersQueues(t *testing.T) {
	onEach(t, func(t *testing.T, b *broker.Broker) {
		client, m := tasks.NewClient(b), mux()
		g := gate(m)
		named(t, b, m, "w1")
		enqueueMany(t, client, 1)
		g.await(t, 1)
		want := map[string]int{"added": 5, "low": 2}
		w, err := client.SetWorkerQueues(t.Context(), "w1", want)
		require.NoError(t, err)
		require.Equal(t, want, w.Queues)
		enqueueMany(t, client, 1, tasks.ID("stays"))
		enqueueMany(t, client, 1, tasks.Queue("added"), tasks.ID("now"))
		enqueueMany(t, client, 1, tasks.Queue("added"), tasks.ID("later"), tasks.Countdown(2*time.Second), tasks.Retention(time.Second))
		g.release(1)
		g.await(t, 1)
		g.release(2)
		testenv.Eventually(t, func() bool { return g.ended.Load() == 3 }, "the task of the queue that was left, and two of the added one")
		state, err := client.Info(t.Context(), "stays")
		require.NoError(t, err)
		require.Equal(t, tasks.StatePending, state.State)
		testenv.Eventually(t, func() bool { // the life leaves the queue once its last task has ended
			n, err := b.Workers(t.Context(), []string{"default", "low", "added"})
			return err == nil && n["default"] == 0 && n["low"] == 1 && n["added"] == 1
		})
		testenv.Eventually(t, func() bool { _, err := client.Info(t.Context(), "later"); return errors.Is(err, tasks.ErrNotFound) },
			"what was kept long enough is deleted")
		_, err = client.SetWorkerQueues(t.Context(), "w1", map[string]int{"default": 1})
		require.NoError(t, err)
		g.release(1)
		testenv.Eventually(t, func() bool { return g.ended.Load() == 4 })
	})
}

func TestDrainAWorkerByCommand(t *testing.T) {
	onEach(t, func(t *testing.T, b *broker.Broker) {
		client, m := tasks.NewClient(b), mux()
		g := gate(m)
		ended := named(t, b, m, "w1", func(c *pool.Config) { c.Drain = time.Millisecond })
		enqueueMany(t, client, 2)
		g.await(t, 2)
		enqueueMany(t, client, 3)
		w, err := client.DrainWorker(t.Context(), "w1")
		require.NoError(t, err)
		require.Equal(t, []any{tasks.WorkerDraining, 2}, []any{w.Phase, w.Running})
		for _, call := range []func() error{
			func() error { _, err := client.ResumeWorker(t.Context(), "w1"); return err },
			func() error { _, err := client.ResizeWorker(t.Context(), "w1", 9); return err },
			func() error {
				_, err := client.SetWorkerQueues(t.Context(), "w1", map[string]int{"q": 1})
				return err
			},
		} {
			var refused *tasks.WorkerError
			require.ErrorAs(t, call(), &refused)
			require.Equal(t, tasks.WorkerIsDraining, refused.Reason)
		}
		require.Empty(t, ended)
		g.release(2)
		require.NoError(t, <-ended)
		require.EqualValues(t, 2, g.ended.Load())
		info, err := asynq.NewInspectorFromRedisClient(b.Redis()).GetQueueInfo("default")
		require.NoError(t, err)
		require.Equal(t, []int{3, 0}, []int{info.Pending, info.Active})
		_, err = client.Worker(t.Context(), "w1")
		require.ErrorIs(t, err, tasks.ErrUnknownWorker)
	})
}

func TestACommandHasOneEffect(t *testing.T) {
	onEach(t, func(t *testing.T, b *broker.Broker) {
		client := tasks.NewClient(b)
		named(t, b, handling(), "w1")
		first, err := client.ResizeWorker(t.Context(), "w1", 7, tasks.CommandID("one"))
		require.NoError(t, err)
		_, err = client.ResizeWorker(t.Context(), "w1", 3)
		require.NoError(t, err)
		again, err := client.ResizeWorker(t.Context(), "w1", 7, tasks.CommandID("one"))
		require.NoError(t, err)
		require.Equal(t, first.Slots, again.Slots)
		w, err := client.Worker(t.Context(), "w1")
		require.NoError(t, err)
		require.Equal(t, 3, w.Slots, "the second of one id has no effect")
		// The worker knows it by itself, should Redis have lost the answer.
		for _, key := range b.Redis().Keys(t.Context(), "paidui:answer:*").Val() {
			require.NoError(t, b.Redis().Del(t.Context(), key).Err())
		}
		_, err = client.ResizeWorker(t.Context(), "w1", 7, tasks.CommandID("one"))
		require.NoError(t, err)
		w, err = client.Worker(t.Context(), "w1")
		require.NoError(t, err)
		require.Equal(t, 3, w.Slots)
		var option *tasks.OptionError
		_, err = client.PauseWorker(t.Context(), "w1", tasks.CommandID("one"))
		require.ErrorAs(t, err, &option)
		require.Equal(t, "command_id", option.Field)
	})
}

func TestCommandsRefuseBadInput(t *testing.T) {
	t.Parallel()
	b := taskstest.Embedded(t)
	client := tasks.NewClient(b)
	named(t, b, handling(), "w1", func(c *pool.Config) { c.LogLevel = nil })
	named(t, b, handling(), "twin")
	for field, call := range map[string]func() error{
		"concurrency": func() error { _, err := client.ResizeWorker(t.Context(), "w1", 0); return err },
		"queues": func() error {
			_, err := client.SetWorkerQueues(t.Context(), "w1", map[string]int{"a b": 1})
			return err
		},
		"level":      func() error { _, err := client.SetWorkerLogLevel(t.Context(), "w1", "loud"); return err },
		"command_id": func() error { _, err := client.PauseWorker(t.Context(), "w1", tasks.CommandID("a b")); return err },
		"wait": func() error {
			_, err := client.PauseWorker(t.Context(), "w1", tasks.CommandWait(time.Hour))
			return err
		},
		"limit":  func() error { _, _, err := client.Workers(t.Context(), "", tasks.MaxWorkers+1); return err },
		"cursor": func() error { _, _, err := client.Workers(t.Context(), "??", 1); return err },
	} {
		var option *tasks.OptionError
		require.ErrorAs(t, call(), &option, field)
		require.Equal(t, field, option.Field)
	}
	var option *tasks.OptionError
	_, err := client.ResizeWorker(t.Context(), "w1", 1_000_000)
	require.ErrorAs(t, err, &option)
	for _, weights := range []map[string]int{nil, {"a": 0}, {"a": 1_000_001}} {
		_, err := client.SetWorkerQueues(t.Context(), "w1", weights)
		require.ErrorAs(t, err, &option)
	}
	_, err = client.PauseWorker(t.Context(), "nobody")
	require.ErrorIs(t, err, tasks.ErrUnknownWorker)

	refused := func(want tasks.WorkerRefusal, err error) {
		t.Helper()
		var e *tasks.WorkerError
		require.ErrorAs(t, err, &e)
		require.Equal(t, want, e.Reason)
	}
	_, err = client.SetWorkerLogLevel(t.Context(), "w1", "debug")
	refused(tasks.WorkerLogFixed, err)
	w, err := client.SetWorkerLogLevel(t.Context(), "twin", "debug")
	require.NoError(t, err)
	require.Equal(t, "debug", w.LogLevel)

	// Two processes of one name are told apart by their ids.
	other := fetch.New(b, fetch.Config{Name: "twin", Queues: map[string]int{"default": 1}, Tasks: []string{"a"}})
	t.Cleanup(other.Leave)
	require.NoError(t, other.Beat(t.Context()))
	_, err = client.PauseWorker(t.Context(), "twin")
	refused(tasks.WorkerAmbiguous, err)
	_, err = client.PauseWorker(t.Context(), w.ID)
	require.NoError(t, err)

	// A worker of an earlier build has no record, or one of fewer fields.
	silent := fetch.New(b, fetch.Config{Name: "silent", Queues: map[string]int{"default": 1}})
	t.Cleanup(silent.Leave)
	require.NoError(t, silent.Beat(t.Context()))
	_, err = client.PauseWorker(t.Context(), "silent")
	refused(tasks.WorkerIsOlder, err)
	w, err = client.Worker(t.Context(), "silent")
	require.NoError(t, err)
	require.Equal(t, []any{tasks.WorkerServing, map[string]int{"default": 1}, false, []string(nil)}, []any{w.Phase, w.Queues, w.Commands, w.TaskTypes})
	require.NoError(t, b.Redis().Set(t.Context(), "paidui:worker:"+w.ID, `{"name":"silent","queues":{"default":7},"tasks":["a"],"later":1}`, 0).Err())
	w, err = client.Worker(t.Context(), "silent")
	require.NoError(t, err)
	require.Equal(t, []any{map[string]int{"default": 7}, []string{"a"}, false}, []any{w.Queues, w.TaskTypes, w.Commands})
}

func TestPingWorkers(t *testing.T) {
	onEach(t, func(t *testing.T, b *broker.Broker) {
		client := tasks.NewClient(b)
		list, err := client.PingWorkers(t.Context())
		require.NoError(t, err)
		require.Empty(t, list)
		for i := range 3 {
			named(t, b, handling(), fmt.Sprint("w", i))
		}
		list, err = client.PingWorkers(t.Context(), tasks.CommandWait(20*time.Second))
		require.NoError(t, err)
		require.Len(t, list, 3)
		for i, p := range list {
			require.Equal(t, fmt.Sprint("w", i), p.Name)
			require.NotNil(t, p.RoundTrip, p.Error)
			require.Positive(t, *p.RoundTrip)
		}
	})
}

func TestPagesOfWorkers(t *testing.T) {
	t.Parallel()
	b := taskstest.Embedded(t)
	client := tasks.NewClient(b)
	var want []string
	for i := range 7 {
		name := fmt.Sprintf("host-%d:1", i/2) // two of a name
		f := fetch.New(b, fetch.Config{Name: name, Queues: map[string]int{fmt.Sprint("q", i): 1}, Tasks: []string{"a"}})
		t.Cleanup(f.Leave)
		require.NoError(t, f.Beat(t.Context()))
		want = append(want, name)
	}
	var got []string
	seen := make(map[string]bool)
	for cursor, more := "", true; more; more = cursor != "" {
		page, next, err := client.Workers(t.Context(), cursor, 3)
		require.NoError(t, err)
		for _, w := range page {
			got = append(got, w.Name)
			require.False(t, seen[w.ID])
			seen[w.ID] = true
		}
		cursor = next
	}
	require.Equal(t, want, got)
	require.NotContains(t, strings.Join(got, ""), "|")
}
