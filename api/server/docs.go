package server

import (
	_ "embed"
	"net/http"

	"github.com/labstack/echo/v4"
	"github.com/swaggest/swgui/v5emb"
)

//go:embed openapi.yaml
var openapi []byte

const (
	docsPath = "/docs"
	specPath = "/docs/openapi.yaml"

	// Swagger UI starts from a script in its page and draws icons from data URLs.
	docsPolicy = "default-src 'self'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; " +
		"img-src 'self' data:; frame-ancestors 'none'"
)

// OpenAPI is the contract as YAML. The caller must not change it.
func OpenAPI() []byte { return openapi }

func (s *Server) docs(c echo.Context) error {
	c.Response().Header().Set("Content-Security-Policy", docsPolicy)
	c.Response().Header().Set("Referrer-Policy", "same-origin")
	if !served(c, s.docsPage) {
		return echo.ErrNotFound
	}
	return nil
}

func newDocs() http.Handler { return v5emb.New("Paidui", specPath, docsPath) }

func (s *Server) contract(c echo.Context) error {
	c.Response().Header().Set("Cache-Control", "no-cache")
	return c.Blob(http.StatusOK, "application/yaml; charset=utf-8", openapi)
}
