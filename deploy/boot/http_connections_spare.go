package boot

import (
	"cmp"
	"errors"
	"net/http"
	"slices"
	"syscall"
	"time"
)

const (
	// spareShare is the part of those that may be open that is closed at most to make room, so that the search for them
	// is not made for each connection.
	spareShare = 32
	// futilePause is for how long nothing is searched after nothing was found.
	futilePause = 50 * time.Millisecond
)

// sparable is a connection that may be closed for another one's sake.
type sparable struct {
	*connection
	header bool // it has not sent one in time; else it is idle
	of     int  // how many connections its address has, 0 for one that is exempt
	age    time.Duration
}

// sparableOf adds those of p to list.
func (s *connections) sparableOf(list []sparable, p *peer, now time.Time) []sparable {
	of := len(p.open)
	if p.exempt {
		of = 0
	}
	for c := range p.open {
		switch state, age := c.inState(now); {
		case state == http.StateIdle:
			list = append(list, sparable{c, false, of, age})
		case state == http.StateNew && age > s.pressed:
			list = append(list, sparable{c, true, of, age})
		}
	}
	return list
}

// spareOf makes room among the connections of p, and reports whether there is some. It is called with mu locked.
func (s *connections) spareOf(p *peer, now time.Time) bool {
	if now.Sub(p.futile) < futilePause {
		return false
	}
	list := s.sparableOf(nil, p, now)
	s.end(list, s.limits.PerAddress)
	if len(list) == 0 {
		p.futile = now
	}
	return len(list) > 0
}

// spare makes room among all. It is called with mu locked.
func (s *connections) spare(now time.Time) bool {
	if now.Sub(s.futile) < futilePause {
		return false
	}
	var list []sparable
	for _, p := range s.peers {
		list = s.sparableOf(list, p, now)
	}
	s.end(list, s.number)
	if len(list) == 0 {
		s.futile = now
	}
	return len(list) > 0
}

// end closes a part of those in list, for whose share most stands: the idle ones first, of them those of the address that
// has most, of those the ones that are idle for longest. It is called with mu locked.
func (s *connections) end(list []sparable, most int) {
	slices.SortFunc(list, func(a, b sparable) int {
		switch {
		case a.header != b.header && a.header:
			return 1
		case a.header != b.header:
			return -1
		}
		return cmp.Or(cmp.Compare(b.of, a.of), cmp.Compare(b.age, a.age))
	})
	for _, c := range list[:min(len(list), 1+most/spareShare)] {
		reason := sparedIdle
		if c.header {
			reason = sparedHeader
		}
		s.metrics.spared[reason].Inc()
		_ = c.Conn.Close() // http.Server sees it
		s.release(c.connection)
	}
}

// relieve closes some that can be spared because the process has no descriptor left.
func (s *connections) relieve(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	found := s.spare(now)
	if now.Sub(s.told) >= logEvery {
		s.told = now
		s.logger.Error("no descriptor is left for connections: ulimit -n is too low", "open", s.number, "found_some_to_close", found)
	}
}

func outOfDescriptors(err error) bool {
	return errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE)
}
