package cache

import (
	"context"
	"strings"
)

// forgetter is a cache with something in the process that a change makes untrue.
type forgetter interface {
	forget(id string)
}

// Run listens for what other processes change, until ctx ends, and has the caches forget it. Without it, values kept in
// the process live out their expiry.
func (s *Store) Run(ctx context.Context) error {
	sub := s.rdb.Subscribe(ctx, channel)
	defer sub.Close()
	messages := sub.Channel()
	for {
		select {
		case <-ctx.Done():
			return nil
		case m, ok := <-messages:
			if !ok {
				return nil
			}
			s.heard(m.Payload)
		}
	}
}

func (s *Store) heard(message string) {
	name, id, _ := strings.Cut(message, " ")
	if f, ok := s.applier(name).(forgetter); ok {
		f.forget(id)
	}
}
