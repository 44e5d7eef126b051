package shop_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/api/server"
)

func TestRoutesTakeWhatTheContractSays(t *testing.T) {
	t.Parallel()
	s := startEmbedded(t)
	taken := make(map[string]server.Route)
	for _, r := range s.routes {
		for _, path := range append([]string{r.Path}, r.Aliases...) {
			taken[r.Method+" "+path] = r
		}
	}
	found := 0
	for _, o := range s.Operations() {
		r, ours := taken[o.Route]
		if !ours { // the framework's
			continue
		}
		found++
		require.ElementsMatch(t, o.Query, r.Query, o.Route)
		require.Equal(t, o.RequestBody != nil, r.Body, o.Route)
	}
	require.Equal(t, len(taken), found, "the contract has each")
}

func TestWhatARouteDoesNotKnowIsRefused(t *testing.T) {
	t.Parallel()
	s := startEmbedded(t)
	s.RequireRefusals([]string{"GET /docs", "GET /docs/openapi.yaml"}, map[string]with{
		"operator": asOperator, "user": bearer(s.login(t, "13800000001").Token),
	})
}
