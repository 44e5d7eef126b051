package server_test

import (
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/api/web/webtest"
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
	heads := map[string]bool{}
	for _, r := range s.api.Routes() {
		method, path, _ := strings.Cut(r, " ")
		if path == "/docs/*" { // the files of Swagger UI
			continue
		}
		path = echoParam.ReplaceAllString(path, "{$1}")
		if method == http.MethodHead {
			heads["GET "+path] = true
			continue
		}
		served[method+" "+path] = true
	}
	require.Equal(t, slices.Sorted(maps.Keys(documented)), slices.Sorted(maps.Keys(served)))
	for operation := range served {
		get := strings.HasPrefix(operation, "GET ")
		require.Equal(t, get && operation != "GET /user/send_sms", heads[operation], "HEAD for %s", operation)
	}
}

// TestDocsInABrowser: the policy of the page lets all pass that Swagger UI needs.
func TestDocsInABrowser(t *testing.T) {
	s := startEmbedded(t)
	tab := webtest.NewTab(t, webtest.Browser(t), webtest.View{})
	tab.Open(s.base + "/docs")
	tab.Await("the operations", `document.querySelectorAll('.opblock').length > 40`)
	tab.Click("#operations-Tasks-listSchedules .opblock-summary")
	tab.Await("one of them", `document.querySelector('#operations-Tasks-listSchedules .responses-wrapper') !== null`)
	tab.Clean(s.base)
}

func TestDocsAreServed(t *testing.T) {
	t.Parallel()
	s := startEmbedded(t)
	for _, path := range []string{"/docs", "/docs/"} {
		page := s.get(path)
		require.Equal(t, http.StatusOK, page.status)
		require.Contains(t, string(page.raw), "/docs/openapi.yaml")
		require.Contains(t, page.header.Get("Content-Security-Policy"), "script-src 'self';")
		require.NotRegexp(t, `(src|href)="https?://`, string(page.raw), "the page must ask no other host")
		require.NotRegexp(t, `<script>|<script [^>]*>[^<]| on[a-z]+=`, string(page.raw), "the policy lets no script in the page run")
	}
	require.Equal(t, http.StatusOK, s.get("/docs/swagger-ui-bundle.js").status)
	require.Contains(t, s.get("/docs/start.js").header.Get("Content-Type"), "text/javascript")
	require.Equal(t, http.StatusNotFound, s.get("/docs/nothing.js").Code)
	spec := s.get("/docs/openapi.yaml")
	require.Equal(t, http.StatusOK, spec.status)
	require.Contains(t, string(spec.raw), "openapi: 3.0.3")
}
