package server

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"time"

	"github.com/labstack/echo/v4"
)

// slowRequest is what makes a request worth a line in the log although nothing went wrong.
const slowRequest = time.Second

// around is what every request goes through. It measures all of them, and logs those that failed or were slow, though
// they did not wait for a task; of the failed ones of others than operators it logs a sample. All others, and those that
// were refused because there are too many, are logged only at level debug. The log has the route's pattern, and never the
// query, which may hold a mobile number.
func (s *Server) around(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		s.metrics.inFlight.Inc()
		state := begin(c, s.standard)
		defer func() {
			if !state.parked {
				s.metrics.inFlight.Dec()
			}
		}()
		secure(c.Response().Header())
		if err := s.attempt(c, next); err != nil {
			c.Error(err)
		}
		if !state.parked {
			s.observe(c)
		}
		return nil
	}
}

// observe measures and logs a request that was answered.
func (s *Server) observe(c echo.Context) {
	state := requestOf(c)
	took, method, route := time.Since(state.begun), methodOf(c.Request()), routeOf(c)
	status := c.Response().Status
	s.metrics.observe(route, method, status, took)
	level, leftOut := slog.LevelDebug, int64(0)
	switch {
	case state.shed:
	case status >= http.StatusBadRequest:
		var told bool
		if told, leftOut = s.tells(state); told {
			level = slog.LevelInfo
		}
	case took >= slowRequest && !state.waits:
		level = slog.LevelInfo
	}
	if !s.log.Enabled(state, level) {
		return
	}
	attrs := []slog.Attr{
		slog.String("method", method),
		slog.String("route", route),
		slog.Int("status", status),
		slog.Float64("ms", float64(took.Microseconds())/1000),
		slog.Int64("bytes", c.Response().Size),
		slog.String("ip", c.RealIP()),
		slog.String("request_id", state.id),
	}
	if state.user > 0 {
		attrs = append(attrs, slog.Int64("user_id", state.user))
	}
	if leftOut > 0 {
		attrs = append(attrs, slog.Int64("left_out", leftOut))
	}
	s.log.LogAttrs(context.WithoutCancel(state), level, "request", attrs...)
}

// routeOf is the route's pattern: what a client invents must not make new log fields or metrics.
func routeOf(c echo.Context) string {
	switch {
	case requestOf(c).page:
		return "page"
	case c.Path() == "" || c.Response().Status == http.StatusMethodNotAllowed:
		return "unmatched"
	}
	return c.Path()
}

func methodOf(r *http.Request) string {
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
		return r.Method
	}
	return "other"
}

// attempt calls the handler. It makes a panic a 500 with its stack in the log.
func (s *Server) attempt(c echo.Context, handler echo.HandlerFunc) (err error) {
	defer func() {
		switch p := recover(); p {
		case nil:
		case http.ErrAbortHandler:
			panic(p)
		default:
			s.log.ErrorContext(c.Request().Context(), "handler panicked",
				"request_id", requestOf(c).id, "route", c.Path(), "error", fmt.Sprint(p), "stack", string(debug.Stack()))
			err = &apiError{status: http.StatusInternalServerError, cause: fmt.Errorf("panic: %v", p)}
		}
	}()
	return s.orPage(c, handler(c))
}
