package server

import "github.com/labstack/echo/v4"

// listSchedules shows the periodic tasks as the schedulers last saw them.
func (s *Server) listSchedules(c echo.Context) error {
	if s.Ticks == nil {
		return notKept(Text{"这个服务没有定时任务", "this service has no schedules"})
	}
	list, err := s.Ticks.List(c.Request().Context())
	if err != nil {
		return err
	}
	return OK(c, list)
}
