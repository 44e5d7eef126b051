package cache

import (
	"context"
	"log/slog"
	"strings"
	"sync/atomic"

	"github.com/redis/go-redis/v9"

	"github.com/paidui/paidui/models/redisx"
)

// forgetter is a cache with something in the process that a change makes untrue.
type forgetter interface {
	forget(id string)
	forgetEverything()
}

// Run subscribes to what other processes change, until ctx ends, and has the caches forget it. Without Run, and while there
// is no connection, values that the process keeps live until they expire. It returns nil.
func (s *Store) Run(ctx context.Context) error {
	s.subscription.run(ctx)
	return nil
}

// changed is called with each message: "<name> <id>".
func (s *Store) changed(message string) {
	s.metrics.invalidations.Inc()
	s.generations.invalidate(message)
	name, id, _ := strings.Cut(message, " ")
	if f, ok := s.applier(name).(forgetter); ok {
		f.forget(id)
	}
}

// lost is called when messages may have been missed.
func (s *Store) lost() {
	s.generations.invalidateAll()
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, a := range s.appliers {
		if f, ok := a.(forgetter); ok {
			f.forgetEverything()
		}
	}
}

// subscription receives which values have changed. Messages that came while there was no connection are lost: when it
// stands again, all that the process keeps counts as changed.
type subscription struct {
	rdb     redis.UniversalClient
	changed func(message string)
	lost    func() // messages may have been missed
	log     *slog.Logger
	stands  atomic.Bool
}

// run subscribes until ctx ends.
func (s *subscription) run(ctx context.Context) {
	defer s.stands.Store(false)
	redisx.Subscription{
		Client:  s.rdb,
		Channel: channel,
		Subscribed: func() {
			s.lost() // what was published before may have been missed
			s.stands.Store(true)
		},
		Message: s.changed,
		Lost:    func(err error) { s.onLost(ctx, err) },
	}.Run(ctx)
}

func (s *subscription) onLost(ctx context.Context, err error) {
	if cluster, ok := s.rdb.(*redis.ClusterClient); ok {
		cluster.ReloadState(ctx) // another node may have replaced the one that is gone
	}
	if s.stands.Swap(false) {
		s.log.Warn("changes of cached values are not heard: what this process keeps is up to its expiry old", "error", err)
	}
}
