package e2e

import (
	"context"
	"fmt"
	"net/http"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/deploy/testenv"
)

// workerState is what the API tells of a worker.
type workerState struct {
	ID, Name, Phase, Version string
	PID                      int
	Slots, Running           int
	Queues                   map[string]int
	LogLevel                 string `json:"log_level"`
}

// stream enqueues sums until it is told to stop, and then waits until each has ended.
type stream struct {
	api  *program
	stop chan struct{}
	done sync.WaitGroup
	made atomic.Int64
}

const streamBatch = 50

func startStream(t *testing.T, api *program) *stream {
	t.Helper()
	s := &stream{api: api, stop: make(chan struct{})}
	s.done.Go(func() {
		for batch := 0; ; batch++ {
			select {
			case <-s.stop:
				return
			default:
			}
			var list []map[string]any
			for i := range streamBatch {
				n := batch*streamBatch + i
				list = append(list, map[string]any{
					"task": "demo.add", "args": map[string]any{"n": n, "m": 1}, "id": fmt.Sprint("stream-", n), "retention": "1h",
				})
			}
			for { // Redis may be away: ids make a repetition harmless
				a, err := call(context.WithoutCancel(t.Context()), http.MethodPost, api.url+"/v1/tasks/batch", operatorKey, map[string]any{"tasks": list})
				if err == nil && a.status == http.StatusOK && allThere(t, a) {
					break
				}
				time.Sleep(50 * time.Millisecond)
			}
			s.made.Store(int64((batch + 1) * streamBatch))
			time.Sleep(5 * time.Millisecond)
		}
	})
	t.Cleanup(s.end)
	return s
}

// allThere tells whether each task of a batch was made, now or before.
func allThere(t *testing.T, a envelope) bool {
	var items []struct{ Code int }
	a.into(t, &items)
	for _, item := range items {
		if item.Code != 100 && item.Code != http.StatusConflict {
			return false
		}
	}
	return true
}

func (s *stream) end() {
	select {
	case <-s.stop:
	default:
		close(s.stop)
	}
	s.done.Wait()
}

// more waits until so many more tasks were made.
func (s *stream) more(t *testing.T, n int64) {
	t.Helper()
	until := s.made.Load() + n
	testenv.Eventually(t, func() bool { return s.made.Load() >= until })
}

// settle requires that each task has succeeded, and that it ran once, or more often only as its worker died.
func (s *stream) settle(t *testing.T) (crashes int64) {
	t.Helper()
	s.end()
	var crashed atomic.Int64
	n := int(s.made.Load())
	const lanes = 8
	inParallel(lanes, func(lane int) {
		for i := lane; i < n; i += lanes {
			var task struct {
				State    string
				Result   int
				Attempts []struct{ Outcome string }
			}
			must(t, http.MethodGet, fmt.Sprintf("%s/v1/tasks/stream-%d?wait=60s", s.api.url, i), operatorKey, nil).into(t, &task)
			require.Equal(t, "SUCCESS", task.State)
			require.Equal(t, i+1, task.Result)
			succeeded := 0
			for _, a := range task.Attempts {
				switch a.Outcome {
				case "success":
					succeeded++
				case "crash":
					crashed.Add(1)
				default:
					t.Errorf("task %d has an attempt that ended in %s", i, a.Outcome)
				}
			}
			require.Equal(t, 1, succeeded, "task %d", i)
		}
	})
	return crashed.Load()
}

// TestOperatingWorkers resizes, pauses, drains and kills workers of the built programs while tasks come.
func TestOperatingWorkers(t *testing.T) {
	bin := build(t)
	redis := testenv.Redis(t, testenv.WithArgs("--appendonly", "yes", "--appendfsync", "always"))
	env := []string{
		"PAIDUI_BROKER_URL=" + redis.URL(1),
		"PAIDUI_CACHE_URL=" + redis.URL(2),
		"PAIDUI_DATABASE_URL=" + testenv.MySQL(t),
		"PAIDUI_JWT_SECRET=" + jwtSecret,
		"PAIDUI_OPERATOR_KEY=" + operatorKey,
		"PAIDUI_CONCURRENCY=4",
	}
	api := start(t, filepath.Join(bin, "api"), "api", env)
	var workers []*program
	for _, name := range []string{"one", "two"} {
		workers = append(workers, start(t, filepath.Join(bin, "worker"), name, append([]string{"PAIDUI_WORKER_NAME=" + name}, env...)))
	}
	for _, p := range append(workers, api) {
		p.awaitReady(t)
	}
	look := func(name string) (w workerState, ok bool) {
		a, err := call(t.Context(), http.MethodGet, api.url+"/v1/workers/"+name, operatorKey, nil)
		if err != nil || a.status != http.StatusOK {
			return w, false
		}
		a.into(t, &w)
		return w, true
	}
	act := func(name, what string, body any) (w workerState) {
		t.Helper()
		must(t, http.MethodPost, api.url+"/v1/workers/"+name+"/"+what+"?wait=30s", operatorKey, body).into(t, &w)
		return w
	}
	for _, name := range []string{"one", "two"} {
		testenv.Eventually(t, func() bool { _, ok := look(name); return ok })
	}
	s := startStream(t, api)

	// Up and down under load.
	for _, n := range []int{64, 1, 16, 2} {
		s.more(t, 100)
		require.Equal(t, n, act("one", "resize", map[string]any{"concurrency": n}).Slots)
	}
	require.Equal(t, map[string]int{"default": 1}, act("one", "queues", map[string]any{"queues": map[string]int{"default": 1}}).Queues)
	require.Equal(t, "debug", act("one", "log-level", map[string]any{"level": "debug"}).LogLevel)

	// Paused, it runs nothing; the other goes on.
	require.Equal(t, "paused", act("one", "pause", nil).Phase)
	testenv.Eventually(t, func() bool { w, ok := look("one"); return ok && w.Running == 0 && w.Phase == "paused" })
	s.more(t, 100)
	require.Equal(t, "serving", act("one", "resume", nil).Phase)

	// Redis goes in the middle, and comes back with its data.
	redis.Kill()
	outage := make(chan envelope, 1)
	go func() {
		a, err := call(t.Context(), http.MethodPost, api.url+"/v1/workers/one/pause?wait=1s", operatorKey, nil)
		if err == nil {
			outage <- a
		}
		close(outage)
	}()
	if a, ok := <-outage; ok {
		require.Equal(t, http.StatusServiceUnavailable, a.status, a.Msg)
	}
	redis.Start()
	testenv.Eventually(t, func() bool {
		a, err := call(t.Context(), http.MethodPost, api.url+"/v1/workers/one/resize", operatorKey, map[string]any{"concurrency": 8})
		return err == nil && a.status == http.StatusOK
	})
	s.more(t, 100)

	// Drained, it hands back what it has not begun, and ends with 0.
	require.Equal(t, "draining", act("two", "drain", nil).Phase)
	require.NoError(t, <-workers[1].ended, workers[1].log.String())
	_, there := look("two")
	require.False(t, there)
	s.more(t, 100)
	if s.settle(t) > 0 { // a machine that stands still makes a worker seem dead; nothing else may
		require.Contains(t, workers[0].log.String()+workers[1].log.String(), "took over the tasks of a worker that died")
	}

	// Killed while it has not answered: it stands still before.
	workers[1].again(t)
	workers[1].awaitReady(t)
	testenv.Eventually(t, func() bool { _, ok := look("two"); return ok })
	freeze(t, workers[0])
	answered := make(chan envelope, 1)
	go func() {
		a, err := call(context.WithoutCancel(t.Context()), http.MethodPost, api.url+"/v1/workers/one/drain?wait=30s", operatorKey, nil)
		if err != nil {
			a.Msg = err.Error()
		}
		answered <- a
	}()
	testenv.Eventually(t, func() bool { return commandsWait(t, redis) })
	workers[0].kill(t)
	a := <-answered
	require.Equal(t, []any{http.StatusConflict, "name"}, []any{a.status, a.Field}, a.Msg)
	testenv.Eventually(t, func() bool { _, ok := look("one"); return !ok })
}

// freeze has a process stand still.
func freeze(t *testing.T, p *program) {
	t.Helper()
	require.NoError(t, p.cmd.Process.Signal(syscall.SIGSTOP))
}

// commandsWait tells whether a worker has a command that it has not answered.
func commandsWait(t *testing.T, server *testenv.RedisServer) bool {
	t.Helper()
	o, err := goredis.ParseURL(server.URL(1))
	require.NoError(t, err)
	rdb := goredis.NewClient(o)
	defer rdb.Close()
	keys, err := rdb.Keys(t.Context(), "paidui:commands:*").Result()
	require.NoError(t, err)
	return len(keys) > 0
}
