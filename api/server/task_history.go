package server

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/paidui/paidui/tasks"
	"github.com/paidui/paidui/tasks/history"
)

// searchParams are the query parameters of searchTasks.
var searchParams = []string{"state", "task", "queue", "tag", "since", "until", "limit", "cursor", "q", "error_group"}

var msgNoHistory = Text{"这个服务没有数据库（PAIDUI_DATABASE_URL），不保存任务历史", "this service has no database (PAIDUI_DATABASE_URL) and keeps no history of its tasks"}

// searchTasks lists tasks of the history, newest first.
func (s *Server) searchTasks(c echo.Context) error {
	if s.History == nil {
		return notKept(msgNoHistory)
	}
	q := history.Query{
		State:  tasks.State(c.QueryParam("state")),
		Task:   c.QueryParam("task"),
		Queue:  c.QueryParam("queue"),
		Tag:    c.QueryParam("tag"),
		Cursor: c.QueryParam("cursor"),

		ErrorGroup: c.QueryParam("error_group"),
		Text:       c.QueryParam("q"),
	}
	if q.Text != "" && !s.seesArguments(c) {
		return &Failure{Status: http.StatusForbidden, Field: "q", Msg: msgNoSearch}
	}
	var err error
	if q.Since, err = timeParam(c, "since"); err != nil {
		return err
	}
	if q.Until, err = timeParam(c, "until"); err != nil {
		return err
	}
	if q.Limit, err = historyLimit(c); err != nil {
		return err
	}
	found, err := s.History.Search(c.Request().Context(), q)
	if err != nil {
		return err
	}
	page := taskPage{Tasks: s.listed(c, found.Tasks)}
	if found.Next != "" {
		page.Next = &found.Next
	}
	return OK(c, page)
}

// msgNoSearch is for an observer: what is found by a word has it.
var msgNoSearch = Text{"观察者看不到任务的参数、结果和错误，也不能在其中搜索", "observers do not see the arguments, results and errors of tasks, and may not search in them"}

// seesArguments tells whether the client sees the arguments, results and errors of all tasks.
func (s *Server) seesArguments(c echo.Context) bool {
	who := requestOf(c).identity
	return who.Operator || who.Observer && s.ObserversSeeArguments
}

// historyLimit reads ?limit= of a list of the history; absent, it is 0.
func historyLimit(c echo.Context) (limit int, err error) {
	given := c.QueryParam("limit")
	if given == "" {
		return 0, nil
	}
	if limit, err = strconv.Atoi(given); err != nil || limit < 1 || limit > history.MaxLimit {
		return 0, BadRequest("limit", Textf("limit 应为 1 到 %d", "limit must be 1 to %d", history.MaxLimit))
	}
	return limit, nil
}

// timeParam reads a query parameter as a time; absent, it is zero.
func timeParam(c echo.Context, name string) (time.Time, error) {
	given := c.QueryParam(name)
	if given == "" {
		return time.Time{}, nil
	}
	t, err := time.Parse(time.RFC3339, given)
	if err != nil {
		return t, BadRequest(name, Textf("%s 应为 RFC 3339 时间，如 2026-05-01T08:00:00Z", "%s must be an RFC 3339 time, such as 2026-05-01T08:00:00Z", name))
	}
	return t, nil
}

// past returns a task as the history knows it. Without a history it knows none.
func (s *Server) past(ctx context.Context, id string) (*tasks.Info, error) {
	if s.History == nil {
		return nil, tasks.ErrNotFound
	}
	return s.History.Find(ctx, id)
}

// answerTask answers the result of a lookup in Redis. A task that Redis no longer has is looked up in the history.
func (s *Server) answerTask(c echo.Context, id string, info *tasks.Info, err error) error {
	if errors.Is(err, tasks.ErrNotFound) {
		info, err = s.past(c.Request().Context(), id)
	}
	if err != nil {
		return err
	}
	return OK(c, s.publicInfo(c, info))
}
