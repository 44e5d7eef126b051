package server_test

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/deploy/testenv"
	"github.com/paidui/paidui/tasks"
	"github.com/paidui/paidui/tasks/history"
)

// remember writes records to the system's history.
func (s *system) remember(t *testing.T, records ...tasks.Record) {
	t.Helper()
	w, err := history.NewWriter(s.db, history.Options{Logger: testenv.Quiet()})
	require.NoError(t, err)
	for _, r := range records {
		w.Record(r)
	}
	require.NoError(t, w.Close(t.Context()))
}

// ended is the record of a task that ended some minutes after an hour ago.
func ended(id string, minute int, state tasks.State) tasks.Record {
	at := time.Now().Add(-time.Hour + time.Duration(minute)*time.Minute)
	return tasks.Record{
		ID: id, Task: "demo.add", Queue: "default", State: state, Attempt: 1, Args: []byte(`{"n":1,"m":2}`), Result: []byte("3"),
		Worker: "worker-1", Tags: []string{"t", id}, RequestID: "request", EnqueuedAt: at, StartedAt: at, EndedAt: at.Add(time.Second),
	}
}

// search reads pages to the end.
func (s *system) search(t *testing.T, query string) (ids []string) {
	t.Helper()
	for cursor := ""; ; {
		a := s.Get("/v1/tasks?"+query+"&cursor="+url.QueryEscape(cursor), asOperator)
		require.Equal(t, 100, a.Code, "%s", a.Raw)
		var page struct {
			Tasks []task
			Next  *string `json:"next_cursor"`
		}
		a.Into(t, &page)
		for _, one := range page.Tasks {
			ids = append(ids, one.ID)
		}
		if page.Next == nil {
			return ids
		}
		cursor = *page.Next
	}
}

func TestTheHistoryIsSearched(t *testing.T) {
	t.Parallel()
	s := start(t)
	require.Empty(t, s.search(t, ""))
	low := ended("c", 3, tasks.StateSuccess)
	low.Queue, low.Task = "low", "demo.low"
	open := ended("d", 4, tasks.StateStarted)
	open.EndedAt, open.Result = time.Time{}, nil
	s.remember(t, ended("a", 1, tasks.StateSuccess), ended("b", 2, tasks.StateFailure), low, open, ended("e", 5, tasks.StateRevoked))
	at := func(minute int) string {
		return url.QueryEscape(time.Now().Add(-time.Hour + time.Duration(minute)*time.Minute - 30*time.Second).Format(time.RFC3339Nano))
	}
	require.Equal(t, "e d c b a", strings.Join(s.search(t, ""), " "), "which also finds out that Redis has lost d")
	for query, want := range map[string]string{
		"limit=2":                            "e d c b a",
		"limit=1":                            "e d c b a",
		"state=SUCCESS":                      "c a",
		"state=LOST":                         "d",
		"state=STARTED":                      "",
		"task=demo.add&limit=2":              "e d b a",
		"queue=low":                          "c",
		"queue=low&task=demo.add":            "",
		"tag=t&limit=3":                      "e d c b a",
		"tag=b":                              "b",
		"tag=t&state=SUCCESS&queue=low":      "c",
		"since=" + at(3):                     "e d c",
		"until=" + at(3):                     "b a",
		"since=" + at(2) + "&until=" + at(4): "c b",
	} {
		require.Equal(t, want, strings.Join(s.search(t, query), " "), "%s", query)
	}
}

func TestATaskThatRedisForgotIsRemembered(t *testing.T) {
	t.Parallel()
	s := startEmbedded(t)
	s.remember(t, ended("kept", 1, tasks.StateFailure))
	seen := s.task(t, "/v1/tasks/kept", asOperator)
	require.Equal(t, []any{"kept", "demo.add", "default", "FAILURE", map[string]any{"n": 1.0, "m": 2.0}, "request"},
		[]any{seen.ID, seen.Task, seen.Queue, seen.State, seen.Args, seen.RequestID})
	require.NotNil(t, seen.EnqueuedAt)
	require.Nil(t, s.task(t, "/v1/tasks/kept?wait=1").Args, "arguments are for the operator")
	require.Equal(t, 404, s.Get("/v1/tasks/unknown").Code)
	stream := string(s.Get("/v1/tasks/kept/events").Raw)
	require.Contains(t, stream, `"state":"FAILURE"`)
	require.Contains(t, stream, "event: end\n")
	require.Equal(t, 404, s.Get("/v1/tasks/unknown/events").Code)

	// What Redis has comes first.
	again := s.Post("/v1/tasks", map[string]any{"task": "demo.add", "args": map[string]int{"n": 1, "m": 2}, "id": "kept"}, asOperator)
	require.Equal(t, 100, again.Code, "%s", again.Raw)
	require.Equal(t, "PENDING", s.task(t, "/v1/tasks/kept").State)
}

func TestSearchesThatMakeNoSenseAreRefused(t *testing.T) {
	t.Parallel()
	s := startEmbedded(t)
	s.remember(t, ended("a", 1, tasks.StateSuccess), ended("b", 2, tasks.StateFailure))
	for query, field := range map[string]string{
		"state=success": "state", "state=NONE": "state",
		"task=" + strings.Repeat("x", 65):    "task",
		"queue=no+queue":                     "queue",
		"tag=two+words":                      "tag",
		"tag=" + strings.Repeat("x", 10<<10): "tag",
		"since=yesterday":                    "since",
		"until=1":                            "until",
		"since=2026-05-02T00:00:00Z&until=2026-05-01T00:00:00Z": "until",
		"limit=0": "limit", "limit=101": "limit", "limit=-1": "limit", "limit=ten": "limit",
		"cursor=x": "cursor", "cursor=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA": "cursor",
	} {
		a := s.Get("/v1/tasks?"+query, asOperator)
		require.Equal(t, []any{400, field}, []any{a.Code, a.Field}, "%.60s: %s", query, a.Raw)
	}
	require.Equal(t, 401, s.Get("/v1/tasks").Code)
	require.Equal(t, 401, s.Get("/v1/tasks?state=SUCCESS", bearer("someone")).Code)
}
