package server

import (
	"net/http"
	"net/netip"
	"sync"
	"time"

	"github.com/labstack/echo/v4"
)

// Waits is how many requests may wait for tasks at once, long polls and event streams together, since each keeps a
// connection for as long as its client likes. A number that is 0 is no limit.
type Waits struct {
	All     int
	Address int // of one client address, IPv6 by /64
}

// retryWhenWaiting is the Retry-After when too many requests wait.
const retryWhenWaiting = 5 * time.Second

// waits counts the requests that wait. It is safe for concurrent use.
type waits struct {
	limits Waits

	mu        sync.Mutex
	all       int
	byAddress map[netip.Addr]int
}

func newWaits(limits Waits) *waits {
	return &waits{limits: limits, byAddress: make(map[netip.Addr]int)}
}

// begin counts the request as one that waits, until leave is called, once. An error refuses it.
func (w *waits) begin(c echo.Context) (leave func(), err error) {
	if w.limits == (Waits{}) {
		return func() {}, nil
	}
	addr := clientOf(c)
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.limits.Address > 0 && w.byAddress[addr] >= w.limits.Address:
		return nil, &Failure{
			Status: http.StatusTooManyRequests, RetryAfter: retryWhenWaiting, Quiet: true,
			Msg: Text{"您等待的任务太多，请稍后再试", "you wait for too many tasks at once, try again later"},
		}
	case w.limits.All > 0 && w.all >= w.limits.All:
		return nil, &Failure{Status: http.StatusServiceUnavailable, RetryAfter: retryWhenWaiting, Msg: msgTooMany, Quiet: true}
	}
	w.all++
	w.byAddress[addr]++
	return func() { w.leave(addr) }, nil
}

func (w *waits) leave(addr netip.Addr) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.all--
	if w.byAddress[addr]--; w.byAddress[addr] == 0 {
		delete(w.byAddress, addr)
	}
}
