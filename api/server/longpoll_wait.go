package server

import (
	"context"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/paidui/paidui/tasks"
)

// goneSpan is the longest time between two checks whether the client of a long poll is still there.
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
	requestOf(c).admission.leave() // a waiting request takes no turn
	leave := func() {}
	if !info.State.Final() {
		if leave, err = s.waits.begin(c); err != nil {
			w.Close()
			return err
		}
	}
	info, waits, err := s.await(c, w, info, min(wait, longpollAfter))
	if err != nil || !waits || wait <= longpollAfter {
		leave()
		w.Close()
		return s.answerTask(c, id, info, err)
	}
	return s.longpoll(c, func(c echo.Context) error {
		defer w.Close()
		defer leave()
		info, _, err := s.await(c, w, info, time.Until(end))
		return s.answerTask(c, id, info, err)
	})
}

// await returns the last state seen when the task has ended, the server drains, or the limit has passed. waits is true in the
// last case.
func (s *Server) await(c echo.Context, w *tasks.Watcher, info *tasks.Info, limit time.Duration) (last *tasks.Info, waits bool, err error) {
	over := time.NewTimer(limit)
	defer over.Stop()
	ctx, clientCheck := c.Request().Context(), s.clientChecks.any()
	draining := s.draining(ctx)
	for !info.State.Final() {
		select {
		case <-w.Changed():
			if info, err = w.Info(); err != nil {
				return nil, false, err
			}
		case <-over.C:
			return info, true, nil
		case <-clientCheck.after():
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

// draining returns a channel that is closed when the server of the request begins to drain; it may be nil. All requests
// share it.
func (s *Server) draining(ctx context.Context) <-chan struct{} {
	if s.Draining == nil {
		return nil
	}
	return s.Draining(ctx)
}
