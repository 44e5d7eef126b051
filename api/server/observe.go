package server

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"net/http"
	"regexp"
	"runtime/debug"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/paidui/paidui/tasks"
)

var safeRequestID = regexp.MustCompile(`^[A-Za-z0-9._:@/+=-]{1,128}$`)

// identify gives the request an id: the client's X-Request-ID when it is harmless, else a new one. The answer, the log
// and the tasks that the request enqueues carry it.
func (s *Server) identify(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		id := c.Request().Header.Get(echo.HeaderXRequestID)
		if !safeRequestID.MatchString(id) {
			id = rand.Text()
		}
		c.Response().Header().Set(echo.HeaderXRequestID, id)
		c.SetRequest(c.Request().WithContext(tasks.WithRequestID(c.Request().Context(), id)))
		return next(c)
	}
}

// observe logs and measures every request. It logs the route's pattern, and never the query, which may hold a mobile
// number.
func (s *Server) observe(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		begun := time.Now()
		s.metrics.inFlight.Inc()
		defer s.metrics.inFlight.Dec()
		if err := next(c); err != nil {
			c.Error(err)
		}
		took, method, route := time.Since(begun), methodOf(c.Request()), routeOf(c)
		status := c.Response().Status
		s.metrics.observe(route, method, status, took)
		attrs := []slog.Attr{
			slog.String("method", method),
			slog.String("route", route),
			slog.Int("status", status),
			slog.Float64("ms", float64(took.Microseconds())/1000),
			slog.Int64("bytes", c.Response().Size),
			slog.String("ip", c.RealIP()),
			slog.String("request_id", c.Response().Header().Get(echo.HeaderXRequestID)),
		}
		if user := userOf(c); user > 0 {
			attrs = append(attrs, slog.Int64("user_id", user))
		}
		level := slog.LevelInfo
		if route == healthPath {
			level = slog.LevelDebug // a probe asks every few seconds
		}
		s.log.LogAttrs(context.WithoutCancel(c.Request().Context()), level, "request", attrs...)
		return nil
	}
}

// routeOf is the route's pattern: what a client invents must not make new log fields or metrics.
func routeOf(c echo.Context) string {
	switch {
	case c.Get(pageKey) == true:
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

// recover makes a panic a 500 with its stack in the log.
func (s *Server) recover(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) (err error) {
		defer func() {
			switch p := recover(); p {
			case nil:
			case http.ErrAbortHandler:
				panic(p)
			default:
				s.log.ErrorContext(c.Request().Context(), "handler panicked",
					"request_id", c.Response().Header().Get(echo.HeaderXRequestID), "route", c.Path(),
					"error", fmt.Sprint(p), "stack", string(debug.Stack()))
				err = &apiError{status: http.StatusInternalServerError, cause: fmt.Errorf("panic: %v", p)}
			}
		}()
		return next(c)
	}
}
