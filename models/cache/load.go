package cache

import (
	"context"
	"fmt"
	"runtime/debug"
	"time"
)

const (
	loadTimeout   = 5 * time.Second // of one load, the wait for its turn included; shorter than a lease
	parallelLoads = 16              // loads of a process that run at once
)

// Load runs f, a read of the database, as one of the bounded number of loads that run at once; f's context ends after
// five seconds, the wait for its turn included. A panic in f becomes an error.
func (s *Store) Load(ctx context.Context, f func(ctx context.Context) error) (err error) {
	ctx, cancel := context.WithTimeout(ctx, loadTimeout)
	defer cancel()
	select {
	case s.slots <- struct{}{}:
		defer func() { <-s.slots }()
	case <-ctx.Done():
		return fmt.Errorf("waiting for other loads: %w", context.Cause(ctx))
	}
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("a load panicked: %v\n%s", p, debug.Stack())
		}
	}()
	return f(ctx)
}
