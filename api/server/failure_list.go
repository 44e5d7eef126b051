package server

import (
	"time"

	"github.com/labstack/echo/v4"

	"github.com/paidui/paidui/tasks"
	"github.com/paidui/paidui/tasks/history"
)

// failurePage is a page of groups of failures.
type failurePage struct {
	Since    time.Time      `json:"since"`
	Failures []failureGroup `json:"failures"`
	Next     *string        `json:"next_cursor"` // null on the last page
}

type failureGroup struct {
	ErrorGroup string         `json:"error_group"`
	Error      string         `json:"error"`
	Count      int64          `json:"count"`
	First      time.Time      `json:"first_seen"`
	Last       time.Time      `json:"last_seen"`
	Tasks      []taskCount    `json:"tasks"`
	Versions   []versionCount `json:"versions"`
	Example    *tasks.Info    `json:"example"`
}

type taskCount struct {
	Task  string `json:"task"`
	Count int64  `json:"count"`
}

type versionCount struct {
	Version string `json:"version"`
	Count   int64  `json:"count"`
}

// listFailures groups what has failed by its errors.
func (s *Server) listFailures(c echo.Context) error {
	if s.History == nil {
		return notKept(msgNoHistory)
	}
	q := history.FailureQuery{Task: c.QueryParam("task"), Queue: c.QueryParam("queue"), Cursor: c.QueryParam("cursor")}
	var err error
	if q.Limit, err = historyLimit(c); err != nil {
		return err
	}
	if given := c.QueryParam("window"); given != "" {
		if q.Window, err = time.ParseDuration(given); err != nil || q.Window <= 0 {
			return BadRequest("window", Text{"window 应为 1h、24h 或 168h", "window must be 1h, 24h or 168h"})
		}
	}
	found, err := s.History.Failures(c.Request().Context(), q)
	if err != nil {
		return err
	}
	page := failurePage{Since: found.Since, Failures: make([]failureGroup, len(found.Groups))}
	for i := range found.Groups {
		page.Failures[i] = s.failureGroup(c, &found.Groups[i])
	}
	if found.Next != "" {
		page.Next = &found.Next
	}
	return OK(c, page)
}

// failureGroup returns the part of a group that the client may see.
func (s *Server) failureGroup(c echo.Context, g *history.FailureGroup) failureGroup {
	shown := failureGroup{
		ErrorGroup: g.ErrorGroup, Error: g.Error, Count: g.Count, First: g.First, Last: g.Last,
		Tasks: make([]taskCount, len(g.Tasks)), Versions: make([]versionCount, len(g.Versions)),
	}
	for i, t := range g.Tasks {
		shown.Tasks[i] = taskCount{t.Name, t.Count}
	}
	for i, v := range g.Versions {
		shown.Versions[i] = versionCount{v.Name, v.Count}
	}
	if !s.seesArguments(c) { // the normal form of an error has its words
		shown.Error = msgTaskFailed.In(LanguageOf(c))
	}
	if g.Example != nil {
		shown.Example = s.publicInfo(c, g.Example)
	}
	return shown
}
