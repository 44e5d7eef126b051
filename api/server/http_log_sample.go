package server

import (
	"sync"
	"time"
)

// loggedFailures is how many failed requests of others than operators the log has of each second.
const loggedFailures = 20

// sampler lets the first few of each second pass. It is safe for concurrent use.
type sampler struct {
	most int

	mu      sync.Mutex
	second  int64 // Unix time
	passed  int   // of that second
	leftOut int64 // since the last that passed
}

// pass reports whether one of now passes, and how many did not since the last.
func (s *sampler) pass(now time.Time) (passes bool, leftOut int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if second := now.Unix(); second != s.second {
		s.second, s.passed = second, 0
	}
	if s.passed >= s.most {
		s.leftOut++
		return false, 0
	}
	leftOut, s.leftOut = s.leftOut, 0
	s.passed++
	return true, leftOut
}

// sample is what a sampler said of a request.
type sample struct {
	asked, passes bool
	leftOut       int64
}

// tells reports whether the log is to have lines of a failed request, and how many others it has left out before.
func (s *Server) tells(r *request) (told bool, leftOut int64) {
	if r.operator {
		return true, 0
	}
	if !r.sampled.asked {
		r.sampled.asked = true
		r.sampled.passes, r.sampled.leftOut = s.failures.pass(time.Now())
	}
	return r.sampled.passes, r.sampled.leftOut
}
