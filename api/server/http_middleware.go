package server

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"time"

	"github.com/labstack/echo/v4"
)

// slowRequest is the duration from which a request is logged although it succeeded.
const slowRequest = time.Second

// middleware wraps every request: it makes the request's state, calls the handler, and measures and logs the request. The
// log has the route's pattern, and never the query, which may hold a mobile number.
func (s *Server) middleware(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		s.metrics.inFlight.Inc()
		state := beginRequest(c, s, s.defaultLanguage)
		defer func() {
			if !state.hijacked {
				s.metrics.inFlight.Dec()
			}
		}()
		setSecurityHeaders(c.Response().Header())
		if err := s.callHandler(c, next); err != nil {
			c.Error(err)
		}
		if !state.hijacked {
			s.observe(c)
		}
		return nil
	}
}

// observe measures and logs a request that was answered. Failed requests are logged at level info (those of non-operators
// as a sample), slow ones too, unless they waited for a task. All others, and those refused because of overload, are logged
// at level debug.
func (s *Server) observe(c echo.Context) {
	state := requestOf(c)
	took, method, route := time.Since(state.begun), methodOf(c.Request()), routeOf(c)
	status := c.Response().Status
	s.metrics.observe(route, method, status, took)
	level, leftOut := slog.LevelDebug, int64(0)
	switch {
	case state.shed:
	case status >= http.StatusBadRequest:
		var logged bool
		if logged, leftOut = s.logsFailure(state); logged {
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
	switch who := state.identity; {
	case who.byKey:
		attrs = append(attrs, slog.String(who.role(), who.User))
	case who.User != "":
		attrs = append(attrs, slog.String("user_id", who.User))
	}
	if leftOut > 0 {
		attrs = append(attrs, slog.Int64("left_out", leftOut))
	}
	s.log.LogAttrs(context.WithoutCancel(state), level, "request", attrs...)
}

// routeOf returns the route's pattern. A path that a client invents must not make new values in the log or the metrics.
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

// callHandler calls the handler. A panic becomes an error of status 500, with its stack in the log.
func (s *Server) callHandler(c echo.Context, handler echo.HandlerFunc) (err error) {
	defer func() {
		switch p := recover(); p {
		case nil:
		case http.ErrAbortHandler:
			panic(p)
		default:
			s.log.ErrorContext(c.Request().Context(), "handler panicked",
				"request_id", requestOf(c).id, "route", c.Path(), "error", fmt.Sprint(p), "stack", string(debug.Stack()))
			err = &Failure{Status: http.StatusInternalServerError, Cause: fmt.Errorf("panic: %v", p)}
		}
	}()
	return s.orWeb(c, handler(c))
}

// withTimeout ends the request's context after timeout, or DefaultTimeout when that is 0.
func withTimeout(timeout time.Duration, next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		r := requestOf(c)
		r.setTimeout(cmp.Or(timeout, DefaultTimeout))
		defer r.end()
		return next(c)
	}
}
