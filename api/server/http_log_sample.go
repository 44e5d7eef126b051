package server

import (
	"sync"
	"time"
)

// loggedFailures is how many failed requests of strangers and users are logged in each second.
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

// sample is a sampler's decision on a request.
type sample struct {
	asked, passes bool
	leftOut       int64
}

// logsFailure reports whether to log a failed request, and how many others were left out since the last one.
func (s *Server) logsFailure(r *request) (logged bool, leftOut int64) {
	if r.identity.Operator || r.identity.Observer {
		return true, 0
	}
	if !r.sampled.asked {
		r.sampled.asked = true
		r.sampled.passes, r.sampled.leftOut = s.failures.pass(time.Now())
	}
	return r.sampled.passes, r.sampled.leftOut
}
