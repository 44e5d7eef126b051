package server_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/api/server"
)

const patience = time.Minute

type act struct {
	ID                                int64
	At                                time.Time
	Who, Role, What, Subject, Outcome string
	Status, Code                      int
	Message, Address                  string
	TaskID                            string  `json:"task_id"`
	RequestID                         string  `json:"request_id"`
	MS                                float64 `json:"duration_ms"`
}

// acts reads a list of acts to its end, newest first.
func (s *system) acts(t *testing.T, query string) (list []act) {
	t.Helper()
	for cursor := ""; ; {
		a := s.Get("/v1/audit?"+query+"&cursor="+url.QueryEscape(cursor), asOperator)
		require.Equal(t, 100, a.Code, "%s", a.Raw)
		var page struct {
			Acts []act
			Next *string `json:"next_cursor"`
		}
		a.Into(t, &page)
		list = append(list, page.Acts...)
		if page.Next == nil {
			return list
		}
		cursor = *page.Next
	}
}

// awaitActs waits until so many acts match.
func (s *system) awaitActs(t *testing.T, query string, n int) []act {
	t.Helper()
	var list []act
	require.Eventually(t, func() bool {
		list = s.acts(t, query)
		return len(list) >= n
	}, patience, 20*time.Millisecond, "%s: %v", query, list)
	require.Len(t, list, n)
	return list
}

// eachSystem runs the test on MySQL with Redis, and embedded.
func eachSystem(t *testing.T, test func(t *testing.T, s *system), changes ...change) {
	t.Helper()
	t.Run("servers", func(t *testing.T) {
		t.Parallel()
		test(t, start(t, changes...))
	})
	t.Run("embedded", func(t *testing.T) {
		t.Parallel()
		test(t, assembleEmbedded(t, changes...))
	})
}

func TestEveryActIsInTheAuditLog(t *testing.T) {
	t.Parallel()
	eachSystem(t, func(t *testing.T, s *system) {
		body := map[string]any{"task": "demo.add", "args": map[string]int{"n": 4711, "m": 2}, "tags": []string{"import"}}
		made := s.Post("/v1/tasks", body, asAlice, header("X-Request-ID", "made"))
		require.Equal(t, 100, made.Code)
		revoked := s.Delete("/v1/tasks/"+made.TaskID+"?reason=no+more", asAlice, header("X-Request-ID", "revoked"))
		require.Equal(t, 100, revoked.Code)
		require.Equal(t, 409, s.Delete("/v1/tasks/"+made.TaskID, asOperator).Code)
		require.Equal(t, 404, s.Post("/v1/tasks/none/retry/", nil, bearer("root"), header("X-Request-ID", "retried")).Code)
		require.Equal(t, 100, s.Delete("/v1/tasks?tag=import", asAlice).Code)
		require.Equal(t, 400, s.Delete("/v1/tasks?tag=import&zz=1", asAlice).Code)
		require.Equal(t, 400, s.Post("/v1/tasks", map[string]any{"task": "demo.add", "args": map[string]string{"n": "4711"}}, asAlice).Code)
		s.Get("/v1/tasks", asAlice)
		s.Do("HEAD", "/v1/tasks", nil, asAlice)

		list := s.awaitActs(t, "", 7)
		at := map[string]act{}
		for _, a := range list {
			at[a.RequestID] = a
			require.NotContains(t, fmt.Sprint(a), "4711", "no bodies")
			require.WithinDuration(t, time.Now(), a.At, patience)
			require.NotEmpty(t, a.Address)
			require.Positive(t, a.MS)
		}
		require.Equal(t, []any{"alice", "operator", "POST /v1/tasks", "", "done", 200, 100, made.TaskID}, fields(at["made"]))
		require.Equal(t, []any{"alice", "operator", "DELETE /v1/tasks/:id", made.TaskID, "done", 200, 100, made.TaskID}, fields(at["revoked"]))
		require.Equal(t, []any{"root", "operator", "POST /v1/tasks/:id/retry", "none", "failed", 404, 404, ""}, fields(at["retried"]))
		conflict := s.acts(t, "who=operator")
		require.Len(t, conflict, 1)
		require.Equal(t, []any{409, "the argument id"}, []any{conflict[0].Status, conflict[0].Message})
		require.Len(t, s.acts(t, "who=alice&limit=2"), 5)
		require.Len(t, s.acts(t, "what=DELETE&limit=1"), 4)
		tagged := s.acts(t, "subject="+url.QueryEscape("tag=import"))
		require.Equal(t, []any{"failed", "the argument zz", "done", ""},
			[]any{tagged[0].Outcome, tagged[0].Message, tagged[1].Outcome, tagged[1].Message})
		from := url.QueryEscape(at["revoked"].At.Format(time.RFC3339Nano))
		require.Len(t, s.acts(t, "from="+from), 6)
		require.Len(t, s.acts(t, "to="+from), 1)
		require.NotContains(t, s.log.String(), "not in the audit log")
	}, withKeys)
}

func fields(a act) []any {
	return []any{a.Who, a.Role, a.What, a.Subject, a.Outcome, a.Status, a.Code, a.TaskID}
}

func TestWhatIsRefusedIsInTheAuditLog(t *testing.T) {
	t.Parallel()
	eachSystem(t, func(t *testing.T, s *system) {
		path := "/v1/queues/default/retry"
		require.Equal(t, 403, s.Post(path, nil, asWall).Code)
		require.Equal(t, 403, s.Post(path, nil, bearer("user-ann")).Code)
		require.Equal(t, 401, s.Post(path, nil, bearer("a-guess-at-the-key")).Code)
		require.Equal(t, 401, s.Post(path, nil).Code, "who says nothing is no matter for it")
		require.Equal(t, 401, s.Get("/v1/tasks", bearer("a-guess-at-the-key")).Code, "nor is who only looks")
		list := s.awaitActs(t, "what="+url.QueryEscape("POST /v1/queues"), 3)
		seen := map[string]act{}
		for _, a := range list {
			seen[a.Role] = a
			require.Equal(t, []any{"refused", "default", "POST /v1/queues/:name/retry"}, []any{a.Outcome, a.Subject, a.What})
			require.NotContains(t, fmt.Sprint(a), "a-guess")
		}
		require.Equal(t, []any{"wall", 403}, []any{seen["observer"].Who, seen["observer"].Status})
		require.Equal(t, []any{"ann", 403}, []any{seen["user"].Who, seen["user"].Status})
		require.Equal(t, []any{"", 401, "the operator key is wrong"}, []any{seen[""].Who, seen[""].Status, seen[""].Message})
	}, withKeys)
}

// TestStrangersDoNotFillTheAuditLog, nor do users and observers.
func TestStrangersDoNotFillTheAuditLog(t *testing.T) {
	t.Parallel()
	s := assembleEmbedded(t, withKeys, behindAProxy)
	for range 60 {
		s.Post("/v1/queues/default/retry", nil, asWall, from("192.0.2.1"))
		s.Post("/v1/queues/default/retry", nil, bearer("a-guess-at-the-key"), from("192.0.2.2"))
		s.Post("/v1/queues/default/retry", nil, bearer("a-guess-at-the-key")) // from this machine, which no other limit slows
	}
	for i := range 150 { // from many addresses
		s.Post("/v1/queues/default/retry", nil, bearer("a-guess-at-the-key"), from(fmt.Sprint("198.51.100.", i)))
	}
	require.Equal(t, 404, s.Post("/v1/queues/default/retry", nil, asAlice, from("192.0.2.3")).Code)
	list := s.awaitActsBetween(t, "", 100, 140)
	by := map[string]int{}
	for _, a := range list {
		by[a.Role+" "+a.Address]++
	}
	for client, n := range by {
		require.LessOrEqual(t, n, 20, client)
	}
}

func (s *system) awaitActsBetween(t *testing.T, query string, least, most int) (list []act) {
	t.Helper()
	require.Eventually(t, func() bool {
		list = s.acts(t, query)
		return len(list) >= least
	}, patience, 20*time.Millisecond)
	require.LessOrEqual(t, len(list), most)
	return list
}

func TestAnActIsBegunBeforeItIsDone(t *testing.T) {
	t.Parallel()
	seen := make(chan struct{})
	goOn := make(chan struct{})
	s := assembleEmbedded(t, withKeys, func(o *options) {
		o.Routes = append(o.Routes, server.Route{
			Method: http.MethodPut, Path: "/v1/lamps/:lamp/of/:house", Who: server.Operators, Handler: func(c echo.Context) error {
				if c.Param("lamp") == "broken" {
					panic("the lamp is broken")
				}
				close(seen)
				<-goOn
				return server.OK(c, nil)
			},
		})
		o.Contract = nil
	})
	put := func(lamp string) *http.Request {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPut, s.Base+"/v1/lamps/"+lamp+"/of/mine%2Fhere", nil)
		require.NoError(t, err)
		asAlice(r)
		return r
	}
	answered := make(chan int, 1)
	go func() {
		response, err := s.HTTP.Do(put("red"))
		if err != nil {
			answered <- 0
			return
		}
		response.Body.Close()
		answered <- response.StatusCode
	}()
	resume := sync.OnceFunc(func() { close(goOn) })
	defer resume()
	<-seen
	list := s.acts(t, "")
	require.Len(t, list, 1, "a route that an application adds is audited by itself")
	require.Equal(t, []any{"alice", "operator", "PUT /v1/lamps/:lamp/of/:house", "red/mine/here", "begun", 0, 0, ""}, fields(list[0]))
	resume()
	require.Equal(t, 200, <-answered)
	list = s.acts(t, "")
	require.Equal(t, []any{"alice", "operator", "PUT /v1/lamps/:lamp/of/:house", "red/mine/here", "done", 200, 100, ""}, fields(list[0]))

	response, err := s.HTTP.Do(put("broken"))
	require.NoError(t, err)
	response.Body.Close()
	require.Equal(t, 500, response.StatusCode)
	require.Equal(t, []any{"failed", 500}, []any{s.acts(t, "")[0].Outcome, s.acts(t, "")[0].Status})
}

func TestCallsThatEnqueueMayBeLeftOut(t *testing.T) {
	t.Parallel()
	s := assembleEmbedded(t, withKeys, func(o *options) { o.AuditWithoutEnqueues = true })
	body := map[string]any{"task": "demo.add", "args": map[string]int{"n": 1, "m": 2}}
	require.Equal(t, 100, s.Post("/v1/tasks", body, asAlice).Code)
	require.Equal(t, 100, s.Post("/v1/tasks/batch", map[string]any{"tasks": []any{body}}, asAlice).Code)
	require.Equal(t, 403, s.Post("/v1/tasks", body, asWall).Code)
	require.Equal(t, 400, s.Post("/v1/tasks", map[string]any{"task": "none"}, asAlice).Code)
	list := s.awaitActs(t, "", 2)
	require.ElementsMatch(t, []string{"refused", "failed"}, []string{list[0].Outcome, list[1].Outcome})
}

func TestTheAuditLogIsForOperators(t *testing.T) {
	t.Parallel()
	s := assembleEmbedded(t, withKeys)
	require.Equal(t, 403, s.Get("/v1/audit", asWall).Code)
	require.Equal(t, 403, s.Get("/v1/audit", bearer("user-ann")).Code)
	require.Equal(t, 401, s.Get("/v1/audit").Code)
	for query, field := range map[string]string{
		"who=" + strings.Repeat("x", 129): "who", "limit=0": "limit", "limit=201": "limit", "from=yesterday": "from", "cursor=x": "cursor",
		"from=2026-05-02T00:00:00Z&to=2026-05-01T00:00:00Z": "to", "zz=1": "zz",
	} {
		a := s.Get("/v1/audit?"+query, asAlice)
		require.Equal(t, []any{400, field}, []any{a.Code, a.Field}, query)
	}
}

// TestWithoutADatabaseActsAreLogged, with all that the table would have.
func TestWithoutADatabaseActsAreLogged(t *testing.T) {
	t.Parallel()
	s := assembleEmbedded(t, withKeys, func(o *options) { o.Audit, o.History = nil, nil })
	require.Equal(t, 501, s.Get("/v1/audit", asAlice).Code)
	body := map[string]any{"task": "demo.add", "args": map[string]int{"n": 1, "m": 2}}
	made := s.Post("/v1/tasks", body, asAlice)
	require.Equal(t, 100, s.Delete("/v1/tasks/"+made.TaskID, asAlice, header("X-Request-ID", "revoked")).Code)
	var found map[string]any
	for line := range strings.Lines(s.log.String()) {
		var fields map[string]any
		if json.Unmarshal([]byte(line), &fields) == nil && fields["msg"] == "act" && fields["request_id"] == "revoked" {
			require.Nil(t, found, "one line")
			found = fields
		}
	}
	require.Equal(t, []any{"INFO", "alice", "operator", "DELETE /v1/tasks/:id", made.TaskID, "done", 200.0, 100.0}, []any{
		found["level"], found["who"], found["role"], found["what"], found["subject"], found["outcome"], found["status"], found["code"],
	})
}
