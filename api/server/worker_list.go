package server

import (
	"encoding/json"

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
	for _, w := range list {
		s.hideNotes(c, w)
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
	s.hideNotes(c, w)
	return OK(c, w)
}

// hideNotes takes from what runs in the worker what an observer may not see: the notes of progress.
func (s *Server) hideNotes(c echo.Context, w *tasks.Worker) {
	if requestOf(c).identity.Operator || s.ObserversSeeArguments {
		return
	}
	for i := range w.Runs {
		var progress *tasks.Reported
		err := json.Unmarshal(w.Runs[i].Progress, &progress)
		if err == nil && progress != nil {
			progress.Note = ""
			w.Runs[i].Progress, err = json.Marshal(progress)
		}
		if err != nil { // another build's, and there is no telling what it says
			w.Runs[i].Progress = nil
		}
	}
}
