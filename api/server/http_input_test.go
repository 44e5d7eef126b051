package server_test

import (
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/stretchr/testify/require"
)

// operations calls f with every operation of the contract, and with its name as a route has it.
func operations(t *testing.T, f func(route, method, path string, item *openapi3.PathItem, op *openapi3.Operation)) {
	t.Helper()
	for path, item := range loadContract(t).Paths.Map() {
		path = strings.TrimSuffix(path, "/")
		for method, op := range item.Operations() {
			f(method+" "+contractParam.ReplaceAllString(path, ":$1"), method, path, item, op)
		}
	}
}

func TestRoutesTakeWhatTheContractSays(t *testing.T) {
	t.Parallel()
	taken := startEmbedded(t).api.Taken()
	operations(t, func(route, _, _ string, item *openapi3.PathItem, op *openapi3.Operation) {
		var documented []string
		for _, p := range append(slices.Clone(item.Parameters), op.Parameters...) {
			if p.Value.In == openapi3.ParameterInQuery {
				documented = append(documented, p.Value.Name)
			}
		}
		require.ElementsMatch(t, documented, taken[route].Query, route)
		require.Equal(t, op.RequestBody != nil, taken[route].Body, route)
	})
}

func TestWhatARouteDoesNotKnowIsRefused(t *testing.T) {
	t.Parallel()
	s := startEmbedded(t)
	user := bearer(s.login(t, "13800000001").Token)
	taken := s.api.Taken()
	operations(t, func(route, method, path string, _ *openapi3.PathItem, op *openapi3.Operation) {
		if taken[route].AnyQuery {
			require.Equal(t, http.StatusOK, s.get(path+"?v=1&v=2").status, path)
			return
		}
		who := with(func(*http.Request) {})
		if op.Security != nil {
			who = asOperator
			if _, forUsers := (*op.Security)[0]["user"]; forUsers {
				who = user
			}
		}
		path = contractParam.ReplaceAllString(path, "1")
		var body any
		if op.RequestBody != nil {
			body = "{}"
		}
		refused := func(query string, body any, field string, more ...with) {
			t.Helper()
			a := s.do(method, path+query, body, append(more, who)...)
			require.Equal(t, []any{http.StatusBadRequest, field}, []any{a.Code, a.Field}, "%s %s: %s", route, query, a.raw)
		}
		refused("?zz=1", body, "zz")
		refused("?zz", body, "zz")
		refused("?pretty&pretty", body, "pretty")
		refused("?a;b", body, "query")
		for _, name := range taken[route].Query {
			refused("?"+name+"=a&"+name+"=b", body, name)
			refused("?"+strings.ToUpper(name)+"=a", body, strings.ToUpper(name))
		}
		if op.RequestBody != nil {
			refused("", `{"zz":1}`, "zz")
			return
		}
		refused("", `{"zz":1}`, "body")
		refused("", "zz", "body", header("Content-Type", "text/plain"))
		refused("", " ", "body", unknownLength)
	})
}

func unknownLength(r *http.Request) {
	r.ContentLength = -1
	r.Body = io.NopCloser(io.MultiReader(r.Body))
}

func TestBodiesOfUnknownLengthThatAreEmpty(t *testing.T) {
	t.Parallel()
	s := startEmbedded(t)
	require.Equal(t, 100, s.get("/v1/goods", unknownLength).Code)
}

func TestNothingIsRevokedByWhatIsNotUnderstood(t *testing.T) {
	t.Parallel()
	s := startEmbedded(t)
	id := s.post("/v1/tasks", `{"task":"demo.add","args":{"n":1,"m":2},"queue":"low","tags":["zz"]}`, asOperator).TaskID
	a := s.del("/v1/tasks?tag=zz&queue=default&state=RETRY", asOperator)
	require.Equal(t, []any{400, "queue"}, []any{a.Code, a.Field}, "%s", a.raw)
	var task struct{ State string }
	s.get("/v1/tasks/"+id).into(t, &task)
	require.Equal(t, "PENDING", task.State)
}
