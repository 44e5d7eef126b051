package server_test

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/api/server/servertest"
	"github.com/paidui/paidui/models"
	"github.com/paidui/paidui/tasks"
)

func TestBadInput(t *testing.T) {
	t.Parallel()
	s := start(t)
	before := s.contents(t)
	mb := strings.Repeat("x", 1<<20)
	const post, get, del = http.MethodPost, http.MethodGet, http.MethodDelete
	add := func(field string, value any) map[string]any {
		return map[string]any{"task": "demo.add", "args": map[string]int{"n": 1, "m": 2}, field: value}
	}
	own := func(id, field string, callbacks ...string) map[string]any {
		calls := make([]any, len(callbacks))
		for i, callback := range callbacks {
			calls[i] = add("id", callback)
		}
		task := add("id", id)
		task[field] = calls
		return task
	}
	args := func(raw string) string { return `{"task":"demo.add","args":` + raw + `}` }
	tests := []struct {
		method, path string
		body         any
		who          with
		status       int
		field        string
	}{
		// ids of tasks
		{get, "/v1/tasks/nobody", nil, nil, 404, ""},
		{get, "/v1/tasks/default_01980d5c-7a4e-7bd2-9f0e-6a4c1e0b7a11", nil, nil, 404, ""},
		{get, "/v1/tasks/no_queue_01980d5c-7a4e-7bd2-9f0e-6a4c1e0b7a11?wait=1s", nil, nil, 404, ""},
		{get, "/v1/tasks/a%20b", nil, nil, 400, "id"},
		{get, "/v1/tasks/a%2Fb", nil, nil, 400, "id"},
		{get, "/v1/tasks/a%2Fb%2F", nil, nil, 400, "id"},
		{get, "/v1/tasks/a%252Fb", nil, nil, 400, "id"},
		{get, "/v1/tasks/%2E", nil, nil, 400, "id"},
		{get, "/v1/tasks/%2E%2E", nil, nil, 400, "id"},
		{get, "/v1/tasks/%7B%7D", nil, nil, 400, "id"},
		{get, "/v1/tasks/" + url.PathEscape("任务"), nil, nil, 400, "id"},
		{get, "/v1/tasks/" + strings.Repeat("a", 129), nil, nil, 400, "id"},
		{get, "/v1/tasks/a/b", nil, nil, 404, ""},
		{get, "/v1/tasks/batch", nil, nil, 404, ""},
		{get, "/v1/tasks/nobody?wait=61s", nil, nil, 400, "wait"},
		{get, "/v1/tasks/nobody?wait=-1s", nil, nil, 400, "wait"},
		{get, "/v1/tasks/nobody?wait=-1", nil, nil, 400, "wait"},
		{get, "/v1/tasks/nobody?wait=soon", nil, nil, 400, "wait"},
		{get, "/v1/tasks/nobody?wait=99999999999", nil, nil, 400, "wait"},

		// tasks
		{post, "/v1/tasks", `{"args":{}}`, asOperator, 400, "task"},
		{post, "/v1/tasks", `{"task":"demo.mul","args":{}}`, asOperator, 400, "task"},
		{post, "/v1/tasks", `{"task":"demo.add"}`, asOperator, 400, "args.n"},
		{post, "/v1/tasks", args(`{"n":1}`), asOperator, 400, "args.m"},
		{post, "/v1/tasks", args(`{"n":1,"m":2,"k":3}`), asOperator, 400, "args.k"},
		{post, "/v1/tasks", args(`{"n":null,"m":2}`), asOperator, 400, "args.n"},
		{post, "/v1/tasks", args(`{"n":"1","m":2}`), asOperator, 400, "args.n"},
		{post, "/v1/tasks", args(`[1,2]`), asOperator, 400, "args"},
		{post, "/v1/tasks", args(`null`), asOperator, 400, "args"},
		{post, "/v1/tasks", args(`{"n":1,"m":2,"m":3}`), asOperator, 400, "args.m"},
		{post, "/v1/tasks", add("colour", "red"), asOperator, 400, "colour"},
		{post, "/v1/tasks", add("countdown", -1), asOperator, 400, "countdown"},
		{post, "/v1/tasks", add("countdown", "-10s"), asOperator, 400, "countdown"},
		{post, "/v1/tasks", add("countdown", "soon"), asOperator, 400, "countdown"},
		{post, "/v1/tasks", add("countdown", 1e30), asOperator, 400, "countdown"},
		{post, "/v1/tasks", add("countdown", []int{1}), asOperator, 400, "countdown"},
		{post, "/v1/tasks", add("eta", "tomorrow"), asOperator, 400, "eta"},
		{post, "/v1/tasks", add("eta", "2026-13-01T00:00:00Z"), asOperator, 400, "eta"},
		{post, "/v1/tasks", add("eta", 1767225600), asOperator, 400, "eta"},
		{post, "/v1/tasks", add("eta", "9999-01-01T00:00:00Z"), asOperator, 400, "eta"},
		{post, "/v1/tasks", add("expires", "2001-01-01T00:00:00Z"), asOperator, 400, "expires"},
		{post, "/v1/tasks", add("expires", 0), asOperator, 400, "expires"},
		{post, "/v1/tasks", add("expires", true), asOperator, 400, "expires"},
		{post, "/v1/tasks", map[string]any{
			"task": "demo.add", "args": map[string]int{"n": 1, "m": 2},
			"eta": time.Now().Add(2 * time.Hour), "expires": time.Now().Add(time.Hour),
		}, asOperator, 400, "expires"},
		{post, "/v1/tasks", map[string]any{
			"task": "demo.add", "args": map[string]int{"n": 1, "m": 2},
			"eta": time.Now().Add(time.Hour), "countdown": 1,
		}, asOperator, 400, "eta"},
		{post, "/v1/tasks", add("queue", "a queue"), asOperator, 400, "queue"},
		{post, "/v1/tasks", add("queue", ""), asOperator, 400, "queue"},
		{post, "/v1/tasks", add("id", "a/b"), asOperator, 400, "id"},
		{post, "/v1/tasks", add("id", ""), asOperator, 400, "id"},
		{post, "/v1/tasks", add("id", 7), asOperator, 400, "id"},
		{post, "/v1/tasks", add("max_retries", -1), asOperator, 400, "max_retries"},
		{post, "/v1/tasks", add("max_retries", 1.5), asOperator, 400, "max_retries"},
		{post, "/v1/tasks", add("timeout", 0), asOperator, 400, "timeout"},
		{post, "/v1/tasks", add("retention", "876000h"), asOperator, 400, "retention"}, // a century
		{post, "/v1/tasks", add("unique_for", -1), asOperator, 400, "unique_for"},
		{post, "/v1/tasks", add("durable", 1), asOperator, 400, "durable"},
		{post, "/v1/tasks", add("backoff", map[string]any{"base": "x"}), asOperator, 400, "backoff.base"},
		{post, "/v1/tasks", add("backoff", map[string]any{"base": 10, "cap": 1}), asOperator, 400, "backoff"},

		{post, "/v1/tasks", add("priority", "urgent"), asOperator, 400, "priority"},
		{post, "/v1/tasks", add("priority", 1), asOperator, 400, "priority"},
		{post, "/v1/tasks", add("history", "some"), asOperator, 400, "history"},
		{post, "/v1/tasks", add("tags", "a"), asOperator, 400, "tags"},
		{post, "/v1/tasks", add("tags", []any{"a", 1}), asOperator, 400, "tags[1]"},
		{post, "/v1/tasks", add("tags", []string{"a b"}), asOperator, 400, "tags"},
		{post, "/v1/tasks", add("tags", []string{strings.Repeat("x", 10<<10)}), asOperator, 400, "tags"},
		{post, "/v1/tasks", add("tags", strings.Split("a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,q", ",")), asOperator, 400, "tags"},
		{post, "/v1/tasks", add("headers", []string{"a"}), asOperator, 400, "headers"},
		{post, "/v1/tasks", add("headers", map[string]any{"a": 1}), asOperator, 400, "headers.a"},
		{post, "/v1/tasks", add("headers", map[string]any{"a b": "x"}), asOperator, 400, "headers"},
		{post, "/v1/tasks", add("headers", map[string]any{"a": strings.Repeat("x", 2000)}), asOperator, 400, "headers"},
		{post, "/v1/tasks", add("hard_timeout", -1), asOperator, 400, "hard_timeout"},
		{post, "/v1/tasks", add("hard_timeout", "1ms"), asOperator, 400, "hard_timeout"},
		{post, "/v1/tasks", add("max_crashes", 0), asOperator, 400, "max_crashes"},
		{post, "/v1/tasks", add("result_limit", -1), asOperator, 400, "result_limit"},
		{post, "/v1/tasks", add("result_limit", 2<<20), asOperator, 400, "result_limit"},
		{post, "/v1/tasks", add("throttle", "100000h"), asOperator, 400, "throttle"},
		{post, "/v1/tasks", add("debounce", -1), asOperator, 400, "debounce"},
		{post, "/v1/tasks", add("unique_key", "k"), asOperator, 400, "unique_key"},
		{post, "/v1/tasks", add("unique_key", ""), asOperator, 400, "unique_key"},
		{post, "/v1/tasks", add("unique_until_done", 1), asOperator, 400, "unique_until_done"},
		{post, "/v1/tasks", `{"task":"demo.add","args":{"n":1,"m":2},"debounce":1,"throttle":1}`, asOperator, 400, "debounce"},
		{post, "/v1/tasks", `{"task":"demo.add","args":{"n":1,"m":2},"debounce":1,"id":"mine"}`, asOperator, 400, "debounce"},
		{post, "/v1/tasks", `{"task":"demo.add","args":{"n":1,"m":2},"unique_for":1,"unique_until_done":true}`, asOperator, 400, "unique_until_done"},
		{post, "/v1/tasks", add("retry_only_for", "x"), asOperator, 400, "retry_only_for"},
		{post, "/v1/tasks", add("made_id", true), asOperator, 400, "made_id"},
		{post, "/v1/tasks", add("on_success", "demo.add"), asOperator, 400, "on_success"},
		{post, "/v1/tasks", add("on_success", []any{map[string]any{}}), asOperator, 400, "on_success[0].task"},
		{post, "/v1/tasks", add("on_success", []any{add("colour", 1)}), asOperator, 400, "on_success[0].colour"},
		{post, "/v1/tasks", add("on_success", []any{add("countdown", -1)}), asOperator, 400, "on_success[0].countdown"},
		{post, "/v1/tasks", add("on_success", []any{add("countdown", "soon")}), asOperator, 400, "on_success[0].countdown"},
		{post, "/v1/tasks", add("on_failure", []any{add("id", "x"), map[string]any{"task": "demo.add", "args": map[string]any{"n": "1", "m": 2}}}), asOperator, 400, "on_failure[1].args.n"},
		{post, "/v1/tasks", add("on_success", []any{add("on_failure", []any{add("tags", []string{""})})}), asOperator, 400, "on_success[0].on_failure[0].tags"},
		{post, "/v1/tasks", add("on_success", slices.Repeat([]any{add("tags", []string{"a"})}, 9)), asOperator, 400, "on_success"},
		{post, "/v1/tasks", add("id", "."), asOperator, 400, "id"},
		{post, "/v1/tasks", add("id", ".."), asOperator, 400, "id"},
		{post, "/v1/tasks", add("tags", []string{"a\u202eb"}), asOperator, 400, "tags"},
		{post, "/v1/tasks", add("tags", []string{"\u200b"}), asOperator, 400, "tags"},
		{post, "/v1/tasks", own("mine", "on_success", "mine"), asOperator, 400, "on_success[0].id"},
		{post, "/v1/tasks", own("mine", "on_failure", "x", "mine"), asOperator, 400, "on_failure[1].id"},
		{post, "/v1/tasks", own("mine", "on_success", "x", "x"), asOperator, 400, "on_success[1].id"},
		{post, "/v1/tasks", add("on_success", []any{own("x", "on_failure", "y", "x")}), asOperator, 400, "on_success[0].on_failure[1].id"},
		{post, "/v1/tasks", add("on_success", []any{add("id", "..")}), asOperator, 400, "on_success[0].id"},
		{del, "/v1/tasks?tag=%E2%80%AE", nil, asOperator, 400, "tag"},
		{del, "/v1/tasks/nobody?reason=a%E2%80%AEb", nil, asOperator, 400, "reason"},

		// batches
		{post, "/v1/tasks/batch", `{"tasks":[{"task":"demo.add","args":{"n":1,"m":2}}]}`, nil, 401, ""},
		{post, "/v1/tasks/batch", `[]`, asOperator, 400, ""},
		{post, "/v1/tasks/batch", `{}`, asOperator, 400, "tasks"},
		{post, "/v1/tasks/batch", `{"tasks":[]}`, asOperator, 400, "tasks"},
		{post, "/v1/tasks/batch", `{"tasks":{}}`, asOperator, 400, "tasks"},
		{post, "/v1/tasks/batch", `{"tasks":[{"task":"demo.add"}],"queue":"low"}`, asOperator, 400, "queue"},
		{post, "/v1/tasks/batch", `{"tasks":[{"task":"demo.add"`, asOperator, 400, ""},
		{post, "/v1/tasks/batch", `{"tasks":[` + strings.Repeat(`{},`, 1000) + `{}]}`, asOperator, 400, "tasks"},
		{post, "/v1/tasks/batch", `{"tasks":["` + strings.Repeat("x", 4<<20) + `"]}`, asOperator, 413, ""},

		{post, "/v1/tasks", args(`{"n":1,"m":2,"x":"` + mb + `"}`), asOperator, 413, ""},

		// routes
		{get, "/v1/nothing", nil, nil, 404, ""},
		{post, "/nothing", `{}`, nil, 404, ""},
		{del, "/v1/task-types", nil, nil, 405, ""},
	}
	for _, test := range tests {
		name := fmt.Sprintf("%s %.60s %.60s", test.method, test.path, servertest.Encode(t, test.body))
		t.Run(name, func(t *testing.T) {
			var more []with
			if test.who != nil {
				more = append(more, test.who)
			}
			c := s.On(t)
			a := c.Do(test.method, test.path, test.body, more...)
			require.Equal(t, []any{test.status, test.field}, []any{a.Code, a.Field}, "%s", a.Raw)
			require.Regexp(t, `\p{Han}`, a.Msg)
			a = c.Do(test.method, test.path, test.body, append(more, inEnglish)...)
			require.Equal(t, []any{test.status, test.field}, []any{a.Code, a.Field}, "%s", a.Raw)
			require.NotEmpty(t, a.Msg)
			require.NotRegexp(t, `[Gg]o (type|value|struct)|json:|cannot unmarshal|\*server`, a.Msg)
		})
	}
	require.Equal(t, before, s.contents(t), "bad input changes nothing")
}

// contents counts what the API could have written.
func (s *system) contents(t *testing.T) map[string]int64 {
	t.Helper()
	counts := map[string]int64{}
	for _, model := range models.All() {
		if _, audit := model.(*models.AuditRecord); audit {
			continue // which has what was refused, too
		}
		var n int64
		require.NoError(t, s.db.Model(model).Count(&n).Error)
		counts[fmt.Sprintf("%T", model)] = n
	}
	queued, err := s.broker.Redis().Keys(t.Context(), "asynq:{*}:t:*").Result()
	require.NoError(t, err)
	counts["tasks"] = int64(len(queued))
	return counts
}

func TestDurableNeedsAnOutbox(t *testing.T) {
	t.Parallel()
	s := assembleEmbedded(t, func(o *options) { o.Tasks = tasks.NewClient(o.Broker) })
	a := s.Post("/v1/tasks", `{"task":"demo.add","args":{"n":1,"m":2},"durable":true}`, asOperator)
	require.Equal(t, []any{400, "durable"}, []any{a.Code, a.Field}, "%s", a.Raw)
}
