package server

import (
	"github.com/labstack/echo/v4"

	"github.com/paidui/paidui/tasks"
)

// defaultQueues is the ?limit= of a page of queues.
const defaultQueues = 100

// queuePage is a page of the list of queues.
type queuePage struct {
	Queues []tasks.QueueInfo `json:"queues"`
	Next   *string           `json:"next_cursor"` // null on the last page
}

// listQueues answers a page of the queues, by name.
func (s *Server) listQueues(c echo.Context) error {
	limit, err := QueryInt(c, "limit", defaultQueues, tasks.MaxQueues)
	if err != nil {
		return err
	}
	list, next, err := s.Tasks.Queues(c.Request().Context(), c.QueryParam("cursor"), limit)
	if err != nil {
		return err
	}
	page := queuePage{Queues: list}
	if next != "" {
		page.Next = &next
	}
	return OK(c, page)
}

// oneQueue answers how a queue stands.
func (s *Server) oneQueue(c echo.Context) error {
	q, err := s.Tasks.Queue(c.Request().Context(), pathName(c))
	if err != nil {
		return err
	}
	return OK(c, q)
}
