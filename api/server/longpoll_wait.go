package server

import (
	"context"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/paidui/paidui/tasks"
)

// goneSpan is how long the client of a parked request may be gone before it is found out.
const goneSpan = 3 * time.Second

// waitForTask answers where a task stands once it has ended, but waits no longer than wait, than the request lives, or
// than the server does. When the wait ends first, it answers the last state seen.
func (s *Server) waitForTask(c echo.Context, id string, wait time.Duration) error {
	requestOf(c).waits = true
	end := time.Now().Add(wait)
	w, info, err := s.Tasks.Follow(c.Request().Context(), id)
	if err != nil {
		return s.answerTask(c, id, nil, err)
	}
	requestOf(c).admission.leave() // it waits, and works no more
	leave := func() {}
	if !info.State.Final() {
		if leave, err = s.waits.begin(c); err != nil {
			w.Close()
			return err
		}
	}
	info, waits, err := s.await(c, w, info, min(wait, parkAfter))
	if err != nil || !waits || wait <= parkAfter {
		leave()
		w.Close()
		return s.answerTask(c, id, info, err)
	}
	return s.park(c, func(c echo.Context) error {
		defer w.Close()
		defer leave()
		info, _, err := s.await(c, w, info, time.Until(end))
		return s.answerTask(c, id, info, err)
	})
}

// await returns the last state seen when the task has ended, the server drains, or the time is over. Only then it still
// waits.
func (s *Server) await(c echo.Context, w *tasks.Watcher, info *tasks.Info, limit time.Duration) (last *tasks.Info, waits bool, err error) {
	over := time.NewTimer(limit)
	defer over.Stop()
	ctx, looking := c.Request().Context(), s.looks.any()
	draining := s.draining(ctx)
	for !info.State.Final() {
		select {
		case <-w.Changed():
			if info, err = w.Info(); err != nil {
				return nil, false, err
			}
		case <-over.C:
			return info, true, nil
		case <-looking.over():
			if gone(c) {
				return nil, false, context.Canceled
			}
		case <-draining:
			return info, false, nil
		case <-ctx.Done():
			return nil, false, ctx.Err()
		}
	}
	return info, false, nil
}

// draining is closed when the server of the request begins to drain; it may be nil. All requests share it, so that to
// wait for it costs nothing.
func (s *Server) draining(ctx context.Context) <-chan struct{} {
	if s.Draining == nil {
		return nil
	}
	return s.Draining(ctx)
}
