package server

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/labstack/echo/v4"
)

// How a gate finds the number of requests that it lets work at once.
const (
	firstTurns = 256
	leastTurns = 16
	mostTurns  = 4096

	quickTurn  = 50 * time.Millisecond  // when work takes no longer on average, more of it may be in hand
	slowTurn   = 250 * time.Millisecond // when it takes longer, there is too much of it
	turnWindow = 100 * time.Millisecond // what an average is taken over, at least
)

const (
	// maxQueue is how many requests of one route wait for a turn at most.
	maxQueue = 8192
	// overloadShare is the part of the longest wait that is left to requests of a route whose queue has not been empty
	// for that long.
	overloadShare = 4
	// retryWhenFull is how long a client is asked to wait when its turn did not come.
	retryWhenFull = time.Second
)

// gate bounds how many requests of one route are being worked on, by how long that takes, and how long others wait for
// their turn. A burst may wait for longest. Once the queue has not been empty for that long the route is overloaded, and a
// request waits for a quarter of it only, so that the ones that are answered are answered soon, and the others are
// told at once (CoDel, as Facebook's "Fail at Scale" has it for servers). Each route has its own, so that one whose store is
// slow does not keep the others waiting. It is safe for concurrent use.
//
// Why it is our own: of the libraries, failsafe-go's adaptive limiter keeps a store as busy at the same cost a request, and its
// p99 is alike, but its queue is bounded in number alone. With the 5,000 clients of TestAnOverloadedRouteAnswersSoonOrNot the
// median of what is answered takes it 0.5 to 0.7 s, by its settings, and the gate 0.36 s.
type gate struct {
	longest time.Duration

	mu      sync.Mutex
	turns   int // how many may work
	working int
	queue   []*turn // oldest first; those that gave up are among them
	waiting int     // those in the queue that did not give up
	emptied time.Time

	average time.Duration // of the last window

	begun time.Time     // of the window
	spent time.Duration // by those that finished in it
	done  int
	full  bool // whether somebody had to wait in it
}

// turn is what one request waits for.
type turn struct {
	since time.Time
	given chan bool // true: it is your turn, false: there are too many; buffered
	left  bool      // gave up
}

// newGate makes a gate at which a request waits for longest at most; nil, which lets all pass, when that is 0.
func newGate(longest time.Duration) *gate {
	if longest <= 0 {
		return nil
	}
	now := time.Now()
	return &gate{longest: longest, turns: firstTurns, emptied: now, begun: now}
}

// enter waits for the caller's turn and reports whether it came. If so, leave must follow.
func (g *gate) enter(ctx context.Context) bool {
	now := time.Now()
	g.mu.Lock()
	if g.waiting == 0 {
		g.emptied = now
		if g.working < g.turns {
			g.working++
			g.mu.Unlock()
			return true
		}
	}
	g.full = true
	if g.waiting >= maxQueue {
		g.mu.Unlock()
		return false
	}
	for len(g.queue) > 0 && g.queue[0].left {
		g.queue = g.queue[1:]
	}
	own := &turn{since: now, given: make(chan bool, 1)}
	g.queue = append(g.queue, own)
	g.waiting++
	patience := g.patience(now)
	g.mu.Unlock()

	over := time.NewTimer(patience)
	defer over.Stop()
	select {
	case given := <-own.given:
		return given
	case <-over.C:
	case <-ctx.Done():
	}
	g.mu.Lock()
	select {
	case given := <-own.given:
		g.mu.Unlock()
		return given
	default:
	}
	own.left = true
	g.waiting--
	g.mu.Unlock()
	return false
}

// patience is how long a request may wait: less when work takes longer than half of the longest wait, so that waiting and
// twice the average work stay within two of it. It is called with mu locked.
func (g *gate) patience(now time.Time) time.Duration {
	least := g.longest / overloadShare
	if now.Sub(g.emptied) > g.longest {
		return least
	}
	return min(g.longest, max(least, 2*(g.longest-g.average)))
}

// leave ends the turn of a request that has worked for took, and gives turns to those that wait.
func (g *gate) leave(took time.Duration) {
	now := time.Now()
	g.mu.Lock()
	defer g.mu.Unlock()
	g.working--
	g.spent += took
	g.done++
	if now.Sub(g.begun) >= turnWindow {
		g.adjust(now)
	}
	patience := g.patience(now)
	for len(g.queue) > 0 && (g.working < g.turns || g.queue[0].left) {
		next := g.queue[0]
		g.queue[0] = nil
		g.queue = g.queue[1:]
		if next.left {
			continue
		}
		g.waiting--
		in := now.Sub(next.since) <= patience
		if in {
			g.working++
		}
		next.given <- in
	}
	if len(g.queue) == 0 {
		g.queue = nil // and what it grew to
	}
}

// adjust sets the number of turns by the average of a window: a tenth more when the turns were all taken and quick, and
// fewer in proportion when they were slow, but half at least. It is called with mu locked.
func (g *gate) adjust(now time.Time) {
	g.average = g.spent / time.Duration(g.done)
	switch {
	case g.average > slowTurn:
		g.turns = max(leastTurns, g.turns/2, int(time.Duration(g.turns)*slowTurn/g.average))
	case g.full && g.average <= quickTurn, g.turns < firstTurns && g.average <= slowTurn/2:
		g.turns = min(mostTurns, g.turns+g.turns/10)
	}
	g.begun, g.spent, g.done, g.full = now, 0, 0, false
}

// admission is a request's place at its route's gate.
type admission struct {
	gate     *gate // nil: not limited, or done with
	refusals *pacer
	draining <-chan struct{}
	at       time.Time
	in       bool
}

// enter waits for the request's turn, unless it has had it.
func (a *admission) enter(ctx context.Context) error {
	if a.gate == nil || a.in {
		return nil
	}
	if !a.gate.enter(ctx) {
		a.refusals.wait(ctx, a.draining)
		if err := ctx.Err(); err != nil {
			return err
		}
		return &apiError{status: http.StatusServiceUnavailable, retryAfter: retryWhenFull, msg: msgTooMany, expected: true}
	}
	a.at, a.in = time.Now(), true
	return nil
}

// leave ends the turn, if it was had. From then on the request is not limited.
func (a *admission) leave() {
	if a.in {
		a.gate.leave(time.Since(a.at))
	}
	a.gate, a.in = nil, false
}

var msgTooMany = text{"访问太多，请稍后再试", "too many requests at once, try again in a moment"}

// inTurn lets the requests of a route work in turn. One with a body has its turn only once that is read, since a client
// may send it slowly.
func (s *Server) inTurn(r route) echo.HandlerFunc {
	g := newGate(s.LongestWait)
	if g == nil || r.unlimited {
		return r.handler
	}
	return func(c echo.Context) error {
		own := &requestOf(c).admission
		own.gate, own.refusals, own.draining = g, s.refusals, s.draining(c.Request().Context())
		defer own.leave()
		if !r.body {
			if err := own.enter(c.Request().Context()); err != nil {
				return err
			}
		}
		return r.handler(c)
	}
}
