package server

import (
	"github.com/labstack/echo/v4"

	"github.com/paidui/paidui/tasks"
)

// defaultWorkerLimit is the ?limit= of a page of workers.
const defaultWorkerLimit = 50

// workerPage is a page of the list of workers.
type workerPage struct {
	Workers []*tasks.Worker `json:"workers"`
	Next    *string         `json:"next_cursor"` // null on the last page
}

// listWorkers lists the workers that live, with what runs in each.
func (s *Server) listWorkers(c echo.Context) error {
	limit, err := QueryInt(c, "limit", defaultWorkerLimit, tasks.MaxWorkers)
	if err != nil {
		return err
	}
	list, next, err := s.Tasks.Workers(c.Request().Context(), c.QueryParam("cursor"), limit)
	if err != nil {
		return err
	}
	page := workerPage{Workers: list}
	if next != "" {
		page.Next = &next
	}
	return OK(c, page)
}

func (s *Server) oneWorker(c echo.Context) error {
	w, err := s.Tasks.Worker(c.Request().Context(), pathName(c))
	if err != nil {
		return err
	}
	return OK(c, w)
}
