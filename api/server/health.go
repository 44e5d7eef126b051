package server

import "github.com/labstack/echo/v4"

const healthPath = "/healthz"

type health struct {
	Status string `json:"status"`
}

// healthz says that the process answers. Whether it can work is for /readyz on the admin address to say.
func (s *Server) healthz(c echo.Context) error { return ok(c, health{Status: "ok"}) }
