// Package embedded has a Redis inside this process, so that development and tests need no server.
package embedded

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/alicebob/miniredis/v2"
)

// Redis is a server inside this process, for development and tests. What it holds is lost when it closes.
type Redis struct {
	server *miniredis.Miniredis
	stop   context.CancelFunc
	done   sync.WaitGroup
	once   sync.Once
}

// tick is how often the clock moves; keys expire as late as this.
const tick = 50 * time.Millisecond

// Start starts a server on a free port of the loopback interface, to run until Close or the end of ctx.
func Start(ctx context.Context) (*Redis, error) {
	server := miniredis.NewMiniRedis()
	if err := server.Start(); err != nil {
		return nil, fmt.Errorf("start embedded redis: %w", err)
	}
	ctx, cancel := context.WithCancel(ctx)
	e := &Redis{server: server, stop: cancel}
	e.done.Go(func() { e.run(ctx) })
	return e, nil
}

// run drives the clock, which miniredis leaves standing: without it no key would ever expire.
func (e *Redis) run(ctx context.Context) {
	defer e.server.Close()
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	last := time.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-ticker.C:
			e.server.FastForward(now.Sub(last))
			last = now
		}
	}
}

// URL addresses one of the server's databases.
func (e *Redis) URL(db int) string { return fmt.Sprintf("redis://%s/%d", e.server.Addr(), db) }

// FastForward ages every key that expires by d.
func (e *Redis) FastForward(d time.Duration) { e.server.FastForward(d) }

// SetTime makes the server's clock stand still at now.
func (e *Redis) SetTime(now time.Time) { e.server.SetTime(now) }

// Close stops the server and drops all it holds. Twice is safe.
func (e *Redis) Close() {
	e.once.Do(e.stop)
	e.done.Wait()
}
