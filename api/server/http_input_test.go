package server_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/api/server/servertest"
)

func TestRoutesTakeWhatTheContractSays(t *testing.T) {
	t.Parallel()
	s := startEmbedded(t)
	taken := s.api.Taken()
	for _, o := range s.Operations() {
		if r, ours := taken[o.Route]; ours { // else one of Echo's own
			require.ElementsMatch(t, o.Query, r.Query, o.Route)
			require.Equal(t, o.RequestBody != nil, r.Body, o.Route)
		}
	}
}

func TestWhatARouteDoesNotKnowIsRefused(t *testing.T) {
	t.Parallel()
	s := assembleEmbedded(t, func(o *options) {
		o.Echo = nil // whose routes take anything
		o.Contract = []byte(strings.Split(goodsContract, "  /v1/notes:")[0] + goodsContract[strings.Index(goodsContract, "components:"):])
		o.Routes = o.Routes[:4] // without Echo's own handler, which ignores what it does not know
	})
	s.RequireRefusals([]string{"GET /docs", "GET /docs/openapi.yaml"}, map[string]with{
		"operator": asOperator, "user": bearer("user-ann"),
	})
}

func TestBodiesOfUnknownLengthThatAreEmpty(t *testing.T) {
	t.Parallel()
	s := startEmbedded(t)
	require.Equal(t, 100, s.Get("/v1/goods", servertest.UnknownLength).Code)
}

func TestNothingIsRevokedByWhatIsNotUnderstood(t *testing.T) {
	t.Parallel()
	s := startEmbedded(t)
	id := s.Post("/v1/tasks", `{"task":"demo.add","args":{"n":1,"m":2},"queue":"low","tags":["zz"]}`, asOperator).TaskID
	a := s.Delete("/v1/tasks?tag=zz&queue=default&state=RETRY", asOperator)
	require.Equal(t, []any{400, "queue"}, []any{a.Code, a.Field}, "%s", a.Raw)
	var task struct{ State string }
	s.Get("/v1/tasks/"+id).Into(t, &task)
	require.Equal(t, "PENDING", task.State)
}
