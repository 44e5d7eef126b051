package cache

import (
	"context"
	"errors"
	"sync"
)

// ErrClosed is what a Store says to a miss after Close.
var ErrClosed = errors.New("the store of the caches is closed")

// life is how long a Store lives: its zero value is one that lives.
type life struct {
	mu     sync.Mutex
	closed bool
	last   context.CancelFunc // of all that runs
	ctx    context.Context
	runs   sync.WaitGroup
}

// run has f run beside its caller, with the values of ctx but not its end: f's context ends with the life. It reports
// false when that is over.
func (l *life) run(ctx context.Context, f func(ctx context.Context)) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return false
	}
	if l.ctx == nil {
		l.ctx, l.last = context.WithCancel(context.Background())
	}
	end := l.ctx
	l.runs.Go(func() {
		ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
		defer cancel()
		defer context.AfterFunc(end, cancel)()
		f(ctx)
	})
	return true
}

// Close ends the reads of the database that nobody waits for any more, and those that somebody does, and returns when
// they have ended. What is cached can still be read, and the Redis stays open. Closing again does nothing.
func (s *Store) Close() {
	l := &s.life
	l.mu.Lock()
	l.closed = true
	if l.last != nil {
		l.last()
	}
	l.mu.Unlock()
	l.runs.Wait()
}
