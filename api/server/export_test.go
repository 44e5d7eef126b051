package server

import (
	"time"

	"github.com/paidui/paidui/tasks"
)

// WhyText is a reason in words, and what to do about it, in both languages.
func WhyText(r tasks.WhyReason) (zh, en, todoZH, todoEN string) {
	t := whyText(r)
	return t.is.ZH, t.is.EN, t.todo.ZH, t.todo.EN
}

// SetHeartbeat changes how long streams of events are silent at most. Call it before the first request.
func (s *Server) SetHeartbeat(d time.Duration) { s.heartbeats = newSharedTimers(d) }

// SetPurgeBudget changes how long a request purges. Call it before the first request.
func (s *Server) SetPurgeBudget(d time.Duration) { s.purgeBudget = d }

// Taken are the routes, and their aliases, by "METHOD /path/:param".
func (s *Server) Taken() map[string]Route {
	all := map[string]Route{}
	for _, r := range append(s.routes(), s.Application.Routes...) {
		for _, path := range r.paths() {
			all[r.Method+" "+path] = r
		}
	}
	return all
}

// Waiting is how many requests wait for tasks.
func (s *Server) Waiting() int {
	s.waits.mu.Lock()
	defer s.waits.mu.Unlock()
	return s.waits.all
}
