package server_test

import (
	"fmt"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/tasks"
	"github.com/paidui/paidui/tasks/broker/fetch"
	"github.com/paidui/paidui/tasks/demo"
)

// theWorker waits until the worker of taskstest takes commands.
func (s *system) theWorker(t *testing.T) (w tasks.Worker) {
	t.Helper()
	require.Eventually(t, func() bool {
		a := s.Get("/v1/workers/test", asOperator)
		if a.Code == 404 {
			return false
		}
		a.Into(t, &w)
		return w.Commands
	}, 20*time.Second, 10*time.Millisecond)
	return w
}

func TestCommandsOverHTTP(t *testing.T) {
	t.Parallel()
	for name, start := range map[string]func(*testing.T) *system{
		"servers": func(t *testing.T) *system { return start(t) }, "embedded": startEmbedded,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			commandsOverHTTP(t, start(t))
		})
	}
}

func commandsOverHTTP(t *testing.T, s *system) {
	s.serveAdd(t, nil)
	w := s.theWorker(t)
	require.Equal(t, []any{10, tasks.WorkerServing}, []any{w.Slots, w.Phase})
	require.Equal(t, []string{demo.Add.Name()}, w.TaskTypes)
	list := s.Get("/v1/workers?limit=1", asOperator)
	var page struct {
		Workers []tasks.Worker
		Next    *string `json:"next_cursor"`
	}
	list.Into(t, &page)
	require.Len(t, page.Workers, 1)
	require.Nil(t, page.Next)

	act := func(path string, body any, more ...with) (w tasks.Worker) {
		t.Helper()
		a := s.Post("/v1/workers/test/"+path, body, append(more, asOperator)...)
		require.Equal(t, 100, a.Code, a.Msg)
		a.Into(t, &w)
		return w
	}
	require.Equal(t, 25, act("resize", map[string]any{"concurrency": 25}).Slots)
	require.Equal(t, map[string]int{"default": 2, "x": 1}, act("queues", map[string]any{"queues": map[string]int{"default": 2, "x": 1}}).Queues)
	require.Equal(t, tasks.WorkerPaused, act("pause?wait=30s&command_id=p", nil).Phase)
	id := s.enqueue(t, 1)
	require.Equal(t, "PENDING", s.task(t, "/v1/tasks/"+id).State)
	require.Equal(t, tasks.WorkerServing, act("resume", nil).Phase)
	require.Equal(t, "SUCCESS", s.task(t, "/v1/tasks/"+id+"?wait=20s").State)
	var pings struct{ Workers []tasks.Ping }
	s.Post("/v1/workers/ping?wait=20s", nil, asOperator).Into(t, &pings)
	require.Len(t, pings.Workers, 1)
	require.NotNil(t, pings.Workers[0].RoundTrip)

	for path, wants := range map[string]struct {
		body   any
		status int
		field  string
	}{
		"nobody/pause":             {nil, 404, "name"},
		"test/resize":              {map[string]any{"concurrency": 0}, 400, "concurrency"},
		"test/resize?":             {map[string]any{"concurrency": 1_000_000}, 400, "concurrency"},
		"test/resize?wait=1s":      {map[string]any{"concurrency": "2"}, 400, "concurrency"},
		"test/resize?wait=2s":      {map[string]any{"slots": 2}, 400, "slots"},
		"test/queues":              {map[string]any{"queues": map[string]int{}}, 400, "queues"},
		"test/queues?wait=1s":      {map[string]any{"queues": map[string]int{"a b": 1}}, 400, "queues"},
		"test/queues?wait=2s":      {map[string]any{"queues": map[string]int{"a": 0}}, 400, "queues"},
		"test/log-level":           {map[string]any{"level": "loud"}, 400, "level"},
		"test/log-level?wait=1s":   {map[string]any{"level": "debug"}, 409, "name"},
		"test/pause?wait=0":        {nil, 400, "wait"},
		"test/pause?wait=31s":      {nil, 400, "wait"},
		"test/pause?command_id=a+": {nil, 400, "command_id"},
		"test/drain?command_id=p":  {nil, 400, "command_id"},
		"test/pause?x=1":           {nil, 400, "x"},
	} {
		a := s.Post("/v1/workers/"+path, wants.body, asOperator, inEnglish)
		require.Equal(t, []any{wants.status, wants.field}, []any{a.Code, a.Field}, "%s: %s", path, a.Msg)
	}
	require.Equal(t, 401, s.Get("/v1/workers").Code)
	require.Equal(t, 401, s.Post("/v1/workers/test/pause", nil).Code)
	require.Equal(t, 404, s.Get("/v1/workers/nobody", asOperator).Code)
	require.Equal(t, "limit", s.Get("/v1/workers?limit=101", asOperator).Field)
	require.Equal(t, "cursor", s.Get("/v1/workers?cursor=x", asOperator).Field)
	require.Equal(t, 25, s.theWorker(t).Slots, "what is refused has no effect")

	byID := s.Post("/v1/workers/"+url.PathEscape(w.ID)+"/drain", nil, asOperator)
	require.Equal(t, 100, byID.Code, byID.Msg)
	a := s.Post("/v1/workers/test/resume", nil, asOperator, inEnglish)
	require.Equal(t, []any{409, "name", "the worker drains already: it takes nothing any more, and ends"}, []any{a.Code, a.Field, a.Msg})
}

// TestManyWorkersAreListedQuickly is about 500 workers on 1,000 queues; the limit is generous for a machine that is busy.
func TestManyWorkersAreListedQuickly(t *testing.T) {
	t.Parallel()
	s := start(t)
	for i := range 500 {
		weights := make(map[string]int)
		for q := range 4 {
			weights[fmt.Sprint("q", (2*i+q)%1000)] = 1
		}
		f := fetch.New(s.broker, fetch.Config{Name: fmt.Sprintf("w%03d", i), Queues: weights, Tasks: []string{"a", "b"}, Life: time.Hour})
		require.NoError(t, f.Beat(t.Context()))
	}
	quickest := time.Hour
	require.Eventually(t, func() bool {
		begun := time.Now()
		a := s.Get("/v1/workers?limit=100", asOperator)
		quickest = min(quickest, time.Since(begun))
		require.Equal(t, 100, a.Code, a.Msg)
		return quickest <= 50*time.Millisecond
	}, time.Minute, time.Millisecond)
	t.Log("a page took", quickest)
}
