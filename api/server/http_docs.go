package server

import (
	"bytes"
	_ "embed"
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"
	"github.com/swaggest/swgui/v5emb"
)

var (
	//go:embed openapi.yaml
	openapi []byte

	// Swagger UI's own page has an inline script. The Content-Security-Policy forbids those, so our page loads docs.js.
	//go:embed docs.html
	docsHTML []byte
	//go:embed docs.js
	docsJS []byte
)

const (
	docsPath  = "/docs"
	specPath  = "/docs/openapi.yaml"
	startPath = "/docs/start.js"

	// Swagger UI draws icons from data URLs.
	docsPolicy = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; " +
		"connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

// docs serves the page that shows the contract, and its files.
func (s *Server) docs(c echo.Context) error {
	h := c.Response().Header()
	h.Set("Content-Security-Policy", docsPolicy)
	h.Set("Referrer-Policy", "same-origin")
	switch c.Request().URL.Path {
	case docsPath:
		return c.HTMLBlob(http.StatusOK, docsPage(c.Request().RequestURI))
	case startPath:
		return c.Blob(http.StatusOK, "text/javascript; charset=utf-8", docsJS)
	}
	if !serveUnless404(c, s.docsFiles) {
		return echo.ErrNotFound
	}
	return nil
}

// docsPage returns the page as it is asked for. Its links are relative, for the API may stand below any path; those of /docs/
// begin one level higher than those of /docs.
func docsPage(uri string) []byte {
	path, _, _ := strings.Cut(uri, "?")
	if !strings.HasSuffix(path, "/") {
		return docsHTML
	}
	return bytes.ReplaceAll(docsHTML, []byte(`"./docs/`), []byte(`"../docs/`))
}

func newDocsFiles() http.Handler { return v5emb.New("Paidui", specPath, docsPath) }

func (s *Server) contract(c echo.Context) error {
	c.Response().Header().Set("Cache-Control", "no-cache")
	return c.Blob(http.StatusOK, "application/yaml; charset=utf-8", s.spec)
}
