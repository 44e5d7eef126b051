package server

import (
	"errors"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/paidui/paidui/tasks"
	"github.com/paidui/paidui/tasks/history"
)

// searchParams are the query parameters of searchTasks.
var searchParams = []string{"state", "task", "queue", "tag", "since", "until", "limit", "cursor"}

// searchTasks lists tasks of the history, newest first.
func (s *Server) searchTasks(c echo.Context) error {
	q := history.Query{
		State:  tasks.State(c.QueryParam("state")),
		Task:   c.QueryParam("task"),
		Queue:  c.QueryParam("queue"),
		Tag:    c.QueryParam("tag"),
		Cursor: c.QueryParam("cursor"),
	}
	var err error
	if q.Since, err = timeParam(c, "since"); err != nil {
		return err
	}
	if q.Until, err = timeParam(c, "until"); err != nil {
		return err
	}
	if given := c.QueryParam("limit"); given != "" {
		if q.Limit, err = strconv.Atoi(given); err != nil || q.Limit < 1 || q.Limit > history.MaxLimit {
			return badRequest("limit", textf("limit 应为 1 到 %d", "limit must be 1 to %d", history.MaxLimit))
		}
	}
	found, err := s.History.Search(c.Request().Context(), q)
	if err != nil {
		return err
	}
	page := taskPage{Tasks: found.Tasks}
	if found.Next != "" {
		page.Next = &found.Next
	}
	return ok(c, page)
}

// timeParam reads a query parameter as a time; absent, it is zero.
func timeParam(c echo.Context, name string) (time.Time, error) {
	given := c.QueryParam(name)
	if given == "" {
		return time.Time{}, nil
	}
	t, err := time.Parse(time.RFC3339, given)
	if err != nil {
		return t, badRequest(name, textf("%s 应为 RFC 3339 时间，如 2026-05-01T08:00:00Z", "%s must be an RFC 3339 time, such as 2026-05-01T08:00:00Z", name))
	}
	return t, nil
}

// answerTask answers the result of a lookup in Redis. A task that Redis no longer has is looked up in the history.
func (s *Server) answerTask(c echo.Context, id string, info *tasks.Info, err error) error {
	if errors.Is(err, tasks.ErrNotFound) {
		info, err = s.History.Find(c.Request().Context(), id)
	}
	if err != nil {
		return err
	}
	return ok(c, publicInfo(c, info))
}
