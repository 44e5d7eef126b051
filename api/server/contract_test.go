package server_test

import (
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var (
	echoParam     = regexp.MustCompile(`:(\w+)`)
	contractParam = regexp.MustCompile(`\{(\w+)\}`)
)

func TestRoutesAndContractAgree(t *testing.T) {
	t.Parallel()
	s := startEmbedded(t)
	documented := map[string]bool{}
	for path, item := range loadContract(t).Paths.Map() {
		for method := range item.Operations() {
			documented[method+" "+strings.TrimSuffix(path, "/")] = true
		}
	}
	served := map[string]bool{}
	for _, r := range s.api.Routes() {
		method, path, _ := strings.Cut(r, " ")
		if path == "/docs/*" { // the files of Swagger UI
			continue
		}
		served[method+" "+echoParam.ReplaceAllString(path, "{$1}")] = true
	}
	require.Equal(t, slices.Sorted(maps.Keys(documented)), slices.Sorted(maps.Keys(served)))
}

func TestDocsAreServed(t *testing.T) {
	t.Parallel()
	s := startEmbedded(t)
	for _, path := range []string{"/docs", "/docs/"} {
		page := s.get(path)
		require.Equal(t, http.StatusOK, page.status)
		require.Contains(t, string(page.raw), "/docs/openapi.yaml")
		require.Contains(t, page.header.Get("Content-Security-Policy"), "default-src 'self'")
		require.NotRegexp(t, `(src|href)="https?://`, string(page.raw), "the page must ask no other host")
	}
	require.Equal(t, http.StatusOK, s.get("/docs/swagger-ui-bundle.js").status)
	require.Equal(t, http.StatusNotFound, s.get("/docs/nothing.js").Code)
	spec := s.get("/docs/openapi.yaml")
	require.Equal(t, http.StatusOK, spec.status)
	require.Contains(t, string(spec.raw), "openapi: 3.0.3")
}
