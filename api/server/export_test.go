package server

import "time"

// SetHeartbeat changes how long streams of events are silent at most. Call it before the first request.
func (s *Server) SetHeartbeat(d time.Duration) { s.heartbeats = newPulses(d) }
