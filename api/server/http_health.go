package server

import (
	"net/http"
	"time"

	"github.com/labstack/echo/v4"
)

const (
	healthPath = "/healthz"
	// retryWhenLeaving is the Retry-After while this process stops: another may answer at the address then.
	retryWhenLeaving = time.Second
)

type health struct {
	Status string `json:"status"`
}

// healthz answers 200 until the process is told to stop, and 503 from then on. The process goes on serving for a while, so
// that load balancers that ask here stop sending clients in time. Whether the stores answer is told by /readyz on the admin
// address.
func (s *Server) healthz(c echo.Context) error {
	if s.Leaving != nil {
		select {
		case <-s.Leaving(c.Request().Context()):
			return &Failure{
				Status: http.StatusServiceUnavailable, RetryAfter: retryWhenLeaving,
				Msg: Text{"服务正在停止", "the service is stopping"}, Quiet: true,
			}
		default:
		}
	}
	return OK(c, health{Status: "ok"})
}
