package server

import "time"

// SetHeartbeat changes how long streams of events are silent at most. Call it before the first request.
func (s *Server) SetHeartbeat(d time.Duration) { s.heartbeats = newSharedTimers(d) }

// Taken is what a route takes.
type Taken struct {
	Query    []string
	AnyQuery bool
	Body     bool
}

// Taken lists it for every route and alias, by "METHOD /path/:param".
func (s *Server) Taken() map[string]Taken {
	all := map[string]Taken{}
	for _, r := range s.routes() {
		for _, path := range append([]string{r.path}, r.aliases...) {
			all[r.method+" "+path] = Taken{r.query, r.anyQuery, r.body}
		}
	}
	return all
}
