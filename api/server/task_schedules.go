package server

import "github.com/labstack/echo/v4"

// listSchedules shows the periodic tasks as the schedulers last saw them.
func (s *Server) listSchedules(c echo.Context) error {
	list, err := s.Ticks.List(c.Request().Context())
	if err != nil {
		return err
	}
	return ok(c, list)
}
