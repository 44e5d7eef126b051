package server_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/deploy/testenv"
	"github.com/paidui/paidui/tasks"
	"github.com/paidui/paidui/tasks/bulk"
	"github.com/paidui/paidui/tasks/taskstest"
)

// bulkRun is GET /v1/bulk/{id}.
type bulkRun struct {
	ID, State, Action, By, Error, Priority string
	Filter                                 map[string]any
	Done, Skipped, Gone, Failed            int
	LookedAt                               int        `json:"looked_at"`
	StartedAt                              *time.Time `json:"started_at"`
	FinishedAt                             *time.Time `json:"finished_at"`
	Failures                               []bulk.Failure
}

func (s *system) awaitBulk(t *testing.T, id string) (run bulkRun) {
	t.Helper()
	require.Eventually(t, func() bool {
		a := s.Get("/v1/bulk/"+id, asOperator)
		require.Equal(t, 100, a.Code, "%s", a.Raw)
		a.Into(t, &run)
		return run.FinishedAt != nil
	}, testenv.Patience, 20*time.Millisecond)
	return run
}

func TestBulkOverHTTP(t *testing.T) {
	t.Parallel()
	for name, s := range map[string]*system{"redis": start(t, withKeys), "embedded": assembleEmbedded(t, withKeys)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			mux := tasks.NewMux(tasks.MuxOptions{Logger: testenv.Quiet(), Client: s.tasks})
			bulk.Bind(mux, s.bulk)
			taskstest.Serve(t, s.broker, mux, "low")
			// The history has two tasks that wait, one of which Redis has, and one that has failed.
			made := s.enqueue(t, 1, "countdown", "1h")
			info, err := s.tasks.Info(t.Context(), made)
			require.NoError(t, err)
			waits := tasks.Record{ID: made, Task: "demo.add", Queue: "default", State: tasks.StatePending, EnqueuedAt: *info.EnqueuedAt, Tags: []string{"t"}}
			lost := waits
			lost.ID = "lost"
			s.remember(t, waits, lost, failed("dead", "article 1 is gone"))
			body := func(action string, more ...any) map[string]any {
				b := map[string]any{"filter": map[string]any{"task": "demo.add"}, "action": action}
				for i := 0; i < len(more); i += 2 {
					b[more[i].(string)] = more[i+1]
				}
				return b
			}
			var dry struct {
				DryRun   bool `json:"dry_run"`
				Matched  int
				More     bool
				Examples []task
			}
			s.Post("/v1/bulk", body("revoke", "dry_run", true), asOperator).Into(t, &dry)
			require.Equal(t, []any{true, 2, false, 2}, []any{dry.DryRun, dry.Matched, dry.More, len(dry.Examples)})
			require.Equal(t, "PENDING", s.task(t, "/v1/tasks/"+made).State)

			run := s.awaitBulk(t, s.Post("/v1/bulk", body("priority", "priority", "high"), asOperator).TaskID)
			require.Equal(t, []any{1, 1, "high"}, []any{run.Done, run.Gone, run.Priority})
			seen, err := s.tasks.Info(t.Context(), made)
			require.NoError(t, err)
			require.Equal(t, "high", seen.Priority)

			a := s.Post("/v1/bulk", body("revoke"), asAlice)
			require.Equal(t, 100, a.Code, "%s", a.Raw)
			run = s.awaitBulk(t, a.TaskID)
			require.Equal(t, []any{a.TaskID, "SUCCESS", "revoke", "alice", map[string]any{"task": "demo.add"}, 1, 1, 1, 0, 2},
				[]any{run.ID, run.State, run.Action, run.By, run.Filter, run.Done, run.Skipped, run.Gone, run.Failed, run.LookedAt})
			require.Equal(t, "REVOKED", s.task(t, "/v1/tasks/"+made).State)

			run = s.awaitBulk(t, s.Post("/v1/bulk", body("retry", "filter", map[string]any{"q": "article", "state": "FAILURE"}), asOperator).TaskID)
			require.Equal(t, []any{0, 1, 1}, []any{run.Done, run.Skipped, run.Gone})
			run = s.awaitBulk(t, s.Post("/v1/bulk", body("delete", "filter", map[string]any{"state": "FAILURE"}), asOperator).TaskID)
			require.Equal(t, 1, run.Done)
			require.NotContains(t, s.search(t, ""), "dead")
			stopped := s.Delete("/v1/bulk/"+run.ID, asOperator, inEnglish)
			require.Equal(t, []any{100, "the bulk run has ended"}, []any{stopped.Code, stopped.Msg})
		})
	}
}

func TestBulkRequestsThatMakeNoSenseAreRefused(t *testing.T) {
	t.Parallel()
	s := assembleEmbedded(t, withKeys)
	type object = map[string]any
	for _, c := range []struct {
		body  object
		field string
	}{
		{object{"action": "retry"}, "filter"},
		{object{"action": "retry", "filter": object{}}, "filter"},
		{object{"filter": object{"all": true}}, "action"},
		{object{"filter": object{"all": true}, "action": "explode"}, "action"},
		{object{"filter": object{"all": true, "task": "x"}, "action": "retry"}, "filter.all"},
		{object{"filter": object{"all": "yes"}, "action": "retry"}, "filter.all"},
		{object{"filter": object{"state": "SUCCESS"}, "action": "retry"}, "filter.state"},
		{object{"filter": object{"state": "x"}, "action": "retry"}, "filter.state"},
		{object{"filter": object{"queue": "a b"}, "action": "retry"}, "filter.queue"},
		{object{"filter": object{"since": "yesterday"}, "action": "retry"}, "filter.since"},
		{object{"filter": object{"q": strings.Repeat("x", 201)}, "action": "retry"}, "filter.q"},
		{object{"filter": object{"limit": 1}, "action": "retry"}, "filter.limit"},
		{object{"filter": object{"all": true}, "action": "retry", "terminate": true}, "terminate"},
		{object{"filter": object{"all": true}, "action": "retry", "queue": "x"}, "queue"},
		{object{"filter": object{"all": true}, "action": "retry", "priority": "high"}, "priority"},
		{object{"filter": object{"all": true}, "action": "priority"}, "priority"},
		{object{"filter": object{"all": true}, "action": "priority", "priority": "highest"}, "priority"},
		{object{"filter": object{"state": "STARTED"}, "action": "priority", "priority": "high"}, "filter.state"},
	} {
		for _, dry := range []bool{true, false} {
			c.body["dry_run"] = dry
			a := s.Post("/v1/bulk", c.body, asOperator)
			require.Equal(t, []any{400, c.field}, []any{a.Code, a.Field}, "%v: %s", c.body, a.Raw)
		}
	}
	for path, code := range map[string]int{"/v1/bulk/nobody": 404, "/v1/bulk/%20": 400} {
		a := s.Get(path, asOperator)
		require.Equal(t, []any{code, "id"}, []any{a.Code, a.Field}, path)
		require.Equal(t, code, s.Delete(path, asOperator).Code)
	}
	for who, code := range map[string]int{"": 401, wallKey: 403} {
		as := bearer(who)
		require.Equal(t, code, s.Post("/v1/bulk", object{"filter": object{"all": true}, "action": "retry"}, as).Code)
		require.Equal(t, code, s.Get("/v1/bulk/x", as).Code)
		require.Equal(t, code, s.Delete("/v1/bulk/x", as).Code)
	}
	bare := assembleEmbedded(t, func(o *options) { o.Bulk, o.History = nil, nil })
	require.Equal(t, 501, bare.Post("/v1/bulk", object{"filter": object{"all": true}, "action": "retry"}, asOperator).Code)
	require.Equal(t, 501, bare.Get("/v1/bulk/x", asOperator).Code)
	require.Equal(t, 501, bare.Get("/v1/failures", asOperator).Code)
}
