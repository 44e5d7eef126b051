package cache

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"strings"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	// listenFor is how long a silent connection is believed to be well, twice: without an answer it is made anew.
	listenFor = 15 * time.Second
	// The pauses between tries to subscribe.
	firstListenPause = 50 * time.Millisecond
	maxListenPause   = time.Second
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

// run listens until ctx ends. go-redis connects and subscribes again by itself.
func (s *subscription) run(ctx context.Context) {
	defer s.on.Store(false)
	for ctx.Err() == nil {
		sub := s.rdb.Subscribe(ctx, channel)
		closed := make(chan struct{})
		stop := context.AfterFunc(ctx, func() {
			_ = sub.Close() // ends the receiving
			close(closed)
		})
		s.receive(ctx, sub)
		if stop() {
			_ = sub.Close() // it is of no use any more
		} else {
			<-closed
		}
	}
}

// receive returns when ctx ends or the connection has been silent for too long.
func (s *subscription) receive(ctx context.Context, sub *redis.PubSub) {
	pause, silent := firstListenPause, 0
	for ctx.Err() == nil {
		got, err := sub.ReceiveTimeout(ctx, listenFor)
		var timeout net.Error
		switch {
		case err == nil:
			pause, silent = firstListenPause, 0
			switch m := got.(type) {
			case *redis.Subscription:
				s.lost() // for whatever happened before
				s.on.Store(true)
			case *redis.Message:
				s.changed(m.Payload)
			}
		case errors.As(err, &timeout) && timeout.Timeout() && silent == 0 && sub.Ping(ctx) == nil:
			silent++
		case silent > 0:
			s.deaf(ctx, err)
			return
		default:
			s.deaf(ctx, err)
			select {
			case <-ctx.Done():
			case <-time.After(pause):
			}
			pause = min(2*pause, maxListenPause)
		}
	}
}

func (s *subscription) deaf(ctx context.Context, err error) {
	if cluster, ok := s.rdb.(*redis.ClusterClient); ok {
		cluster.ReloadState(ctx) // another node may have the place of the one that is gone
	}
	if s.on.Swap(false) && ctx.Err() == nil {
		s.log.Warn("changes of cached values are not heard: what this process keeps is up to its expiry old", "error", err)
	}
}
