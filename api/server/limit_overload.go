package server

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/labstack/echo/v4"
)

// How a loadLimiter adapts its number of turns, which is how many requests may work at once.
const (
	initialTurns = 256
	minTurns     = 16
	maxTurns     = 4096

	fastTurn   = 50 * time.Millisecond  // with work this fast on average, the number may grow
	slowTurn   = 250 * time.Millisecond // with slower work, it shrinks
	turnWindow = 100 * time.Millisecond // the average is taken over this at least
)

const (
	// maxQueue is how many requests of one route may wait for a turn.
	maxQueue = 8192
	// overloadShare divides the longest wait while the route is overloaded.
	overloadShare = 4
	// retryWhenFull is the Retry-After of a request whose turn did not come.
	retryWhenFull = time.Second
)

// loadLimiter limits how many requests of one route are worked on at once, and how long the others wait for their turn. The
// number of turns follows from how long the work takes. In a burst, a request may wait for longest. When the queue has not
// been empty for that long, the route is overloaded: a request then waits for a quarter of longest only, so that requests
// are answered soon or refused soon (CoDel, in the form for servers of Facebook's "Fail at Scale"). Each route has a limiter
// of its own, so that a route with a slow store does not delay the others. It is safe for concurrent use.
//
// Why it is our own: of the libraries, failsafe-go's adaptive limiter keeps a store as busy at the same cost a request, and its
// p99 is alike, but its queue is bounded in number alone. With the 5,000 clients of TestAnOverloadedRouteAnswersSoonOrNot the
// median of what is answered takes it 0.5 to 0.7 s, by its settings, and this one 0.36 s.
type loadLimiter struct {
	longest time.Duration

	mu        sync.Mutex
	turns     int // how many may work
	working   int
	queue     []*turn // oldest first; those that gave up are among them
	waiting   int     // those in the queue that did not give up
	lastEmpty time.Time

	average time.Duration // of the last window

	begun time.Time     // of the window
	spent time.Duration // by those that finished in it
	done  int
	full  bool // whether somebody had to wait in it
}

// turn is a place in the queue of one request.
type turn struct {
	since time.Time
	given chan bool // true: the turn has come, false: refused; buffered
	left  bool      // gave up
}

// newLoadLimiter makes a limiter with the longest wait of a request. It returns nil, for no limit, when that is 0.
func newLoadLimiter(longest time.Duration) *loadLimiter {
	if longest <= 0 {
		return nil
	}
	now := time.Now()
	return &loadLimiter{longest: longest, turns: initialTurns, lastEmpty: now, begun: now}
}

// enter waits for the caller's turn and reports whether it came. If so, leave must follow.
func (l *loadLimiter) enter(ctx context.Context) bool {
	now := time.Now()
	l.mu.Lock()
	if l.waiting == 0 {
		l.lastEmpty = now
		if l.working < l.turns {
			l.working++
			l.mu.Unlock()
			return true
		}
	}
	l.full = true
	if l.waiting >= maxQueue {
		l.mu.Unlock()
		return false
	}
	for len(l.queue) > 0 && l.queue[0].left {
		l.queue = l.queue[1:]
	}
	own := &turn{since: now, given: make(chan bool, 1)}
	l.queue = append(l.queue, own)
	l.waiting++
	waitLimit := l.waitLimit(now)
	l.mu.Unlock()

	over := time.NewTimer(waitLimit)
	defer over.Stop()
	select {
	case given := <-own.given:
		return given
	case <-over.C:
	case <-ctx.Done():
	}
	l.mu.Lock()
	select {
	case given := <-own.given:
		l.mu.Unlock()
		return given
	default:
	}
	own.left = true
	l.waiting--
	l.mu.Unlock()
	return false
}

// waitLimit returns how long a request may wait. That is less when work takes longer than half of the longest wait, so that
// the wait and twice the average work stay within twice the longest wait. It is called with mu locked.
func (l *loadLimiter) waitLimit(now time.Time) time.Duration {
	least := l.longest / overloadShare
	if now.Sub(l.lastEmpty) > l.longest {
		return least
	}
	return min(l.longest, max(least, 2*(l.longest-l.average)))
}

// leave ends the turn of a request that has worked for took, and gives turns to those that wait.
func (l *loadLimiter) leave(took time.Duration) {
	now := time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.working--
	l.spent += took
	l.done++
	if now.Sub(l.begun) >= turnWindow {
		l.adjust(now)
	}
	waitLimit := l.waitLimit(now)
	for len(l.queue) > 0 && (l.working < l.turns || l.queue[0].left) {
		next := l.queue[0]
		l.queue[0] = nil
		l.queue = l.queue[1:]
		if next.left {
			continue
		}
		l.waiting--
		in := now.Sub(next.since) <= waitLimit
		if in {
			l.working++
		}
		next.given <- in
	}
	if len(l.queue) == 0 {
		l.queue = nil // frees its array
	}
}

// adjust sets the number of turns by the average of a window: a tenth more when all were taken and the work was fast, and
// fewer in proportion when it was slow, but no less than half. It is called with mu locked.
func (l *loadLimiter) adjust(now time.Time) {
	l.average = l.spent / time.Duration(l.done)
	switch {
	case l.average > slowTurn:
		l.turns = max(minTurns, l.turns/2, int(time.Duration(l.turns)*slowTurn/l.average))
	case l.full && l.average <= fastTurn, l.turns < initialTurns && l.average <= slowTurn/2:
		l.turns = min(maxTurns, l.turns+l.turns/10)
	}
	l.begun, l.spent, l.done, l.full = now, 0, 0, false
}

// admission is the turn of one request at its route's limiter.
type admission struct {
	limiter  *loadLimiter // nil: not limited, or over
	refusals *pacer
	draining <-chan struct{}
	at       time.Time
	in       bool
}

// enter waits for the request's turn, unless it has had it.
func (a *admission) enter(ctx context.Context) error {
	if a.limiter == nil || a.in {
		return nil
	}
	if !a.limiter.enter(ctx) {
		a.refusals.wait(ctx, a.draining)
		if err := ctx.Err(); err != nil {
			return err
		}
		return &Failure{Status: http.StatusServiceUnavailable, RetryAfter: retryWhenFull, Msg: msgTooMany, Quiet: true}
	}
	a.at, a.in = time.Now(), true
	return nil
}

// leave ends the turn, if it was had. From then on the request is not limited.
func (a *admission) leave() {
	if a.in {
		a.limiter.leave(time.Since(a.at))
	}
	a.limiter, a.in = nil, false
}

var msgTooMany = Text{"访问太多，请稍后再试", "too many requests at once, try again in a moment"}

// limitLoad has the requests of a route wait for their turns. A request with a body takes its turn after the body is read,
// since a client may send it slowly.
func (s *Server) limitLoad(r Route) echo.HandlerFunc {
	l := newLoadLimiter(s.LongestWait)
	if l == nil || r.Ungated {
		return r.Handler
	}
	return func(c echo.Context) error {
		own := &requestOf(c).admission
		own.limiter, own.refusals, own.draining = l, s.refusals, s.draining(c.Request().Context())
		defer own.leave()
		if !r.Body {
			if err := own.enter(c.Request().Context()); err != nil {
				return err
			}
		}
		return r.Handler(c)
	}
}
