package cache

import (
	"context"
	"errors"
	"sync"
)

// ErrClosed is what a Store says to a miss after Close.
var ErrClosed = errors.New("the store of the caches is closed")

// shutdown ends what a Store runs in the background. The zero value is open.
type shutdown struct {
	mu      sync.Mutex
	closed  bool
	ctx     context.Context // ends with Close; nil before the first run
	cancel  context.CancelFunc
	running sync.WaitGroup
}

// run calls f in a goroutine, with the values of ctx but not its end: f's context ends with Close. It reports false, and
// does not call f, after Close.
func (s *shutdown) run(ctx context.Context, f func(ctx context.Context)) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	if s.ctx == nil {
		s.ctx, s.cancel = context.WithCancel(context.Background())
	}
	closing := s.ctx
	s.running.Go(func() {
		ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
		defer cancel()
		defer context.AfterFunc(closing, cancel)()
		f(ctx)
	})
	return true
}

// Close cancels the reads of the database, whether or not a caller waits for them, and returns when they have ended. What
// is cached can still be read, and the Redis stays open. Closing again does nothing.
func (s *Store) Close() {
	d := &s.shutdown
	d.mu.Lock()
	d.closed = true
	if d.cancel != nil {
		d.cancel()
	}
	d.mu.Unlock()
	d.running.Wait()
}
