package server_test

import (
	"context"
	"errors"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/deploy/testenv"
	"github.com/paidui/paidui/tasks"
	"github.com/paidui/paidui/tasks/demo"
	"github.com/paidui/paidui/tasks/taskstest"
)

// enqueue is add with the first number.
func (s *system) enqueue(t *testing.T, n int, more ...any) (id string) {
	t.Helper()
	return s.add(t, append(more, "args", map[string]int{"n": n, "m": 2})...)
}

// serveAdd runs demo.add until the test ends; it fails for good while n is negative.
func (s *system) serveAdd(t *testing.T, begun func(context.Context)) {
	t.Helper()
	mux := tasks.NewMux(tasks.MuxOptions{Logger: testenv.Quiet()})
	tasks.Handle(mux, demo.Add, func(ctx context.Context, a demo.AddArgs) (int, error) {
		if begun != nil {
			begun(ctx)
		}
		if a.N < 0 {
			return 0, tasks.Permanent(errors.New("no luck"))
		}
		return a.N + a.M, nil
	})
	taskstest.Serve(t, s.broker, mux, "default")
}

func stateIn(t *testing.T, a answer) string {
	t.Helper()
	var data struct{ State string }
	a.Into(t, &data)
	return data.State
}

func TestRevokeOverHTTP(t *testing.T) {
	t.Parallel()
	s := start(t)
	id := s.enqueue(t, 1)
	a := s.Delete("/v1/tasks/"+id+"?reason="+url.QueryEscape("错了"), asOperator)
	require.Equal(t, []any{100, id, "REVOKED"}, []any{a.Code, a.TaskID, stateIn(t, a)})
	got := s.task(t, "/v1/tasks/"+id)
	require.Equal(t, []any{"REVOKED", "revoked by an operator: 错了"}, []any{got.State, got.Error})
	for _, path := range []string{"/v1/tasks/" + id, "/v1/tasks/" + id + "/?terminate=true"} {
		a = s.Delete(path, asOperator, inEnglish)
		require.Equal(t, []any{409, "id", "the task has ended already (REVOKED)"}, []any{a.Code, a.Field, a.Msg})
	}
	require.Equal(t, 404, s.Delete("/v1/tasks/nobody", asOperator).Code)

	begun, end := make(chan struct{}, 1), make(chan struct{})
	s.serveAdd(t, func(context.Context) { begun <- struct{}{}; <-end })
	id = s.enqueue(t, 1)
	<-begun
	a = s.Delete("/v1/tasks/"+id+"?terminate=false", asOperator)
	require.Equal(t, []any{100, "STARTED"}, []any{a.Code, stateIn(t, a)})
	close(end)
	require.Equal(t, "SUCCESS", s.task(t, "/v1/tasks/"+id+"?wait=20s").State)
	require.Equal(t, 409, s.Delete("/v1/tasks/"+id, asOperator).Code)
}

func TestTerminateOverHTTP(t *testing.T) {
	t.Parallel()
	s := start(t)
	begun := make(chan struct{}, 2)
	s.serveAdd(t, func(ctx context.Context) { begun <- struct{}{}; <-ctx.Done() })
	id, other := s.enqueue(t, 1), s.enqueue(t, 2, "tags", []string{"x"})
	<-begun
	<-begun
	a := s.Delete("/v1/tasks/"+id+"?terminate=true", asOperator, inEnglish)
	require.Equal(t, []any{100, "STARTED", "the task is running, and told to end"}, []any{a.Code, stateIn(t, a), a.Msg})
	a = s.Delete("/v1/tasks?tag=x&terminate=1&reason=closed", asOperator)
	require.JSONEq(t, `{"revoked":0,"running":1}`, string(a.Data))
	require.Equal(t, "REVOKED", s.task(t, "/v1/tasks/"+id+"?wait=20s").State)
	got := s.task(t, "/v1/tasks/"+other+"?wait=20s")
	require.Equal(t, []any{"REVOKED", "revoked by an operator: closed"}, []any{got.State, got.Error})
}

func TestRevokeByTagOverHTTP(t *testing.T) {
	t.Parallel()
	s := startEmbedded(t)
	var ids []string
	for n := range 5 {
		ids = append(ids, s.enqueue(t, n, "tags", []string{"店/7", "x"}, "countdown", "1h"))
	}
	other := s.enqueue(t, 9, "tags", []string{"y"})
	a := s.Delete("/v1/tasks?tag="+url.QueryEscape("店/7"), asOperator)
	require.Equal(t, 100, a.Code)
	require.JSONEq(t, `{"revoked":5,"running":0}`, string(a.Data))
	for _, id := range ids {
		require.Equal(t, []any{"REVOKED", "revoked by an operator"}, []any{s.task(t, "/v1/tasks/"+id).State, s.task(t, "/v1/tasks/"+id).Error})
	}
	require.Equal(t, "PENDING", s.task(t, "/v1/tasks/"+other).State)
}

func TestRetryOverHTTP(t *testing.T) {
	t.Parallel()
	s := start(t)
	failed, succeeded := s.enqueue(t, -1), s.enqueue(t, 1)
	s.serveAdd(t, nil)
	for range 2 {
		require.Equal(t, "FAILURE", s.task(t, "/v1/tasks/"+failed+"?wait=20s").State)
		a := s.Post("/v1/tasks/"+failed+"/retry", nil, asOperator)
		require.Equal(t, []any{100, failed}, []any{a.Code, a.TaskID})
	}
	require.Equal(t, "FAILURE", s.task(t, "/v1/tasks/"+failed+"?wait=20s").State)
	require.Equal(t, "SUCCESS", s.task(t, "/v1/tasks/"+succeeded+"?wait=20s").State)
	a := s.Post("/v1/tasks/"+succeeded+"/retry/", nil, asOperator, inEnglish)
	require.Equal(t, []any{409, "id", "the task has succeeded: enqueue a new one"}, []any{a.Code, a.Field, a.Msg})
	require.Equal(t, 404, s.Post("/v1/tasks/nobody/retry", nil, asOperator).Code)
	later := s.enqueue(t, 1, "countdown", "1h")
	require.Equal(t, 100, s.Post("/v1/tasks/"+later+"/retry", nil, asOperator).Code)
	require.Equal(t, "SUCCESS", s.task(t, "/v1/tasks/"+later+"?wait=20s").State)
}

func TestRetryOfWhatWaitsOrExpiredOverHTTP(t *testing.T) {
	t.Parallel()
	s := startEmbedded(t)
	waiting, expired := s.enqueue(t, 1), s.enqueue(t, 2, "expires", "50ms")
	a := s.Post("/v1/tasks/"+waiting+"/retry", nil, asOperator, inEnglish)
	require.Equal(t, []any{409, "id", "the task has not ended (PENDING)"}, []any{a.Code, a.Field, a.Msg})
	require.Equal(t, 100, s.Delete("/v1/tasks/"+expired, asOperator).Code)
	s.awaitExpiry(t, expired)
	a = s.Post("/v1/tasks/"+expired+"/retry", nil, asOperator, inEnglish)
	require.Equal(t, []any{409, "id", "the task's expiry has passed: enqueue a new one"}, []any{a.Code, a.Field, a.Msg})
}

func TestDeadLettersOverHTTP(t *testing.T) {
	t.Parallel()
	s := start(t)
	const n = 7
	for i := range n {
		s.enqueue(t, -1-i)
	}
	s.serveAdd(t, nil)
	var page struct {
		Tasks []task
		Next  *string `json:"next_cursor"`
	}
	all := func(limit string) (sizes []int) {
		seen := make(map[string]bool)
		for cursor := ""; ; cursor = *page.Next {
			page.Tasks, page.Next = nil, nil
			a := s.Get("/v1/queues/default/dead?limit="+limit+"&cursor="+cursor, asOperator)
			require.Equal(t, 100, a.Code, "%s", a.Raw)
			a.Into(t, &page)
			for _, one := range page.Tasks {
				require.Equal(t, []any{"FAILURE", "no luck", false}, []any{one.State, one.Error, seen[one.ID]})
				require.NotNil(t, one.Args)
				seen[one.ID] = true
			}
			sizes = append(sizes, len(page.Tasks))
			if page.Next == nil {
				return sizes
			}
		}
	}
	require.Eventually(t, func() bool { got := all("100"); return got[0] == n }, 20*time.Second, 20*time.Millisecond)
	require.Equal(t, []int{3, 3, 1}, all("3"))
	require.Equal(t, []int{7}, all("7"))
	require.Equal(t, []int{7}, all(""))
	a := s.Post("/v1/queues/default/retry", nil, asOperator)
	require.JSONEq(t, `{"retried":7}`, string(a.Data))
	require.Eventually(t, func() bool { return all("100")[0] == n }, 20*time.Second, 20*time.Millisecond)
}

func TestControlOfTasksRefusesBadInput(t *testing.T) {
	t.Parallel()
	s := startEmbedded(t)
	id := s.enqueue(t, 1)
	long := strings.Repeat("x", 10_000)
	tests := map[string]struct {
		method, path, field string
		code                int
	}{
		"terminate":          {"DELETE", "/v1/tasks/" + id + "?terminate=maybe", "terminate", 400},
		"long reason":        {"DELETE", "/v1/tasks/" + id + "?reason=" + long, "reason", 400},
		"lines in a reason":  {"DELETE", "/v1/tasks/" + id + "?reason=a%0Ab", "reason", 400},
		"bytes in a reason":  {"DELETE", "/v1/tasks/" + id + "?reason=%FF", "reason", 400},
		"id":                 {"DELETE", "/v1/tasks/a%20b", "id", 400},
		"no tag":             {"DELETE", "/v1/tasks", "tag", 400},
		"no tag but a slash": {"DELETE", "/v1/tasks/?terminate=true", "tag", 400},
		"long tag":           {"DELETE", "/v1/tasks?tag=" + long, "tag", 400},
		"space in a tag":     {"DELETE", "/v1/tasks?tag=a+b", "tag", 400},
		"terminate a tag":    {"DELETE", "/v1/tasks?tag=a&terminate=2", "terminate", 400},
		"retry id":           {"POST", "/v1/tasks/a%20b/retry", "id", 400},
		"retry queue":        {"POST", "/v1/queues/nowhere/retry", "name", 404},
		"retry no queue":     {"POST", "/v1/queues/a%20b/retry", "name", 404},
		"dead queue":         {"GET", "/v1/queues/nowhere/dead", "name", 404},
		"limit 0":            {"GET", "/v1/queues/default/dead?limit=0", "limit", 400},
		"limit 101":          {"GET", "/v1/queues/default/dead?limit=101", "limit", 400},
		"limit":              {"GET", "/v1/queues/default/dead?limit=x", "limit", 400},
		"cursor":             {"GET", "/v1/queues/default/dead?cursor=x", "cursor", 400},
		"made-up cursor":     {"GET", "/v1/queues/default/dead?cursor=MTAwMA", "cursor", 400},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			a := s.On(t).Do(test.method, test.path, nil, asOperator)
			require.Equal(t, []any{test.code, test.field}, []any{a.Code, a.Field}, "%s", a.Raw)
			require.Equal(t, 401, s.On(t).Do(test.method, test.path, nil).Code)
		})
	}
	require.Equal(t, "PENDING", s.task(t, "/v1/tasks/"+id).State)
}
