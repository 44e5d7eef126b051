package server

import (
	"errors"
	"maps"
	"net/http"

	"github.com/labstack/echo/v4"
)

// orWeb passes a request that matched no route on to Application.Web. If that answers 404, or err is another error, it returns err.
// Without a Web, / leads to /docs.
func (s *Server) orWeb(c echo.Context, err error) error {
	r := c.Request()
	if err == nil || !errors.Is(err, echo.ErrNotFound) || r.Method != http.MethodGet && r.Method != http.MethodHead {
		return err
	}
	if s.Web == nil {
		if r.URL.Path == "/" { // a program without a page of its own has this one
			return c.Redirect(http.StatusFound, "."+docsPath) // relative, for the API may stand below any path
		}
		return err
	}
	if !serveUnless404(c, s.Web) {
		return err
	}
	requestOf(c).page = true
	return nil
}

// serveUnless404 has h answer and reports whether it did. A 404 of h is dropped: nothing has been written then.
func serveUnless404(c echo.Context, h http.Handler) bool {
	header := c.Response().Header()
	before := header.Clone()
	w := &notFoundDropper{ResponseWriter: c.Response()}
	h.ServeHTTP(w, c.Request())
	if !w.missing {
		return true
	}
	clear(header)
	maps.Copy(header, before)
	return false
}

// notFoundDropper passes an answer on, unless it is a 404.
type notFoundDropper struct {
	http.ResponseWriter
	missing bool
}

func (w *notFoundDropper) WriteHeader(status int) {
	if w.missing = status == http.StatusNotFound; !w.missing {
		w.ResponseWriter.WriteHeader(status)
	}
}

func (w *notFoundDropper) Write(p []byte) (int, error) {
	if w.missing {
		return len(p), nil
	}
	return w.ResponseWriter.Write(p)
}
