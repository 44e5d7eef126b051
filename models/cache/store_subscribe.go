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

// Run listens for what other processes change, until ctx ends, and has the caches forget it. Without it, and while there is
// no connection, values that the process keeps live out their expiry. It returns nil.
func (s *Store) Run(ctx context.Context) error {
	s.heard.run(ctx)
	return nil
}

// changed is called with each message.
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

// subscription hears which values have changed. What was not heard, because the connection was down, may have been
// anything: when it is there again, all that is kept counts as changed.
type subscription struct {
	rdb     redis.UniversalClient
	changed func(message string)
	lost    func() // anything may have changed
	log     *slog.Logger
	on      atomic.Bool // it stands
}

// run listens until ctx ends.
func (s *subscription) run(ctx context.Context) {
	defer s.on.Store(false)
	redisx.Subscription{
		Client:  s.rdb,
		Channel: channel,
		Subscribed: func() {
			s.lost() // for whatever happened before
			s.on.Store(true)
		},
		Message: s.changed,
		Lost:    func(err error) { s.deaf(ctx, err) },
	}.Run(ctx)
}

func (s *subscription) deaf(ctx context.Context, err error) {
	if cluster, ok := s.rdb.(*redis.ClusterClient); ok {
		cluster.ReloadState(ctx) // another node may have the place of the one that is gone
	}
	if s.on.Swap(false) {
		s.log.Warn("changes of cached values are not heard: what this process keeps is up to its expiry old", "error", err)
	}
}
