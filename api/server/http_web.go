package server

import (
	"errors"
	"maps"
	"net/http"

	"github.com/labstack/echo/v4"
)

// orPage gives what is no route, which err says, to the page, and turns the page's 404 back into the API's.
func (s *Server) orPage(c echo.Context, err error) error {
	r := c.Request()
	if err == nil || s.Web == nil || !errors.Is(err, echo.ErrNotFound) || r.Method != http.MethodGet && r.Method != http.MethodHead {
		return err
	}
	if !served(c, s.Web) {
		return err
	}
	requestOf(c).page = true
	return nil
}

// served lets h answer, unless its answer is a 404: then nothing has been written.
func served(c echo.Context, h http.Handler) bool {
	header := c.Response().Header()
	before := header.Clone()
	w := &unlessMissing{ResponseWriter: c.Response()}
	h.ServeHTTP(w, c.Request())
	if !w.missing {
		return true
	}
	clear(header)
	maps.Copy(header, before)
	return false
}

// unlessMissing drops an answer that is a 404.
type unlessMissing struct {
	http.ResponseWriter
	missing bool
}

func (w *unlessMissing) WriteHeader(status int) {
	if w.missing = status == http.StatusNotFound; !w.missing {
		w.ResponseWriter.WriteHeader(status)
	}
}

func (w *unlessMissing) Write(p []byte) (int, error) {
	if w.missing {
		return len(p), nil
	}
	return w.ResponseWriter.Write(p)
}
