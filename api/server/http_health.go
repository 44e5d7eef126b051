package server

import (
	"net/http"
	"time"

	"github.com/labstack/echo/v4"
)

const (
	healthPath = "/healthz"
	// retryWhenLeaving is when another process may have the address.
	retryWhenLeaving = time.Second
)

type health struct {
	Status string `json:"status"`
}

// healthz says that new clients are welcome here, which they are until the process is told to stop: it then serves on for
// a while, so that balancers that ask here turn away in time. Whether the stores answer is for /readyz on the admin
// address to say.
func (s *Server) healthz(c echo.Context) error {
	if s.Leaving != nil {
		select {
		case <-s.Leaving(c.Request().Context()):
			return &apiError{
				status: http.StatusServiceUnavailable, retryAfter: retryWhenLeaving,
				msg: text{"服务正在停止", "the service is stopping"}, expected: true,
			}
		default:
		}
	}
	return ok(c, health{Status: "ok"})
}
