package beat

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/paidui/paidui/tasks/ticks"
)

// limitedClock is the host's clock, or Redis's while the host's is ahead of it by more than ticks.Tolerance. Ticks that the
// host's clock reaches before Redis's does are refused, so that a scheduler on such a host goes by Redis's clock
// instead, and its ticks are on time. A clock that is behind is left alone: it is late with ticks, and harms no others.
type limitedClock struct {
	Clock  // the host's
	store  *ticks.Store
	logger *slog.Logger

	mu      sync.Mutex
	ahead   time.Duration // 0 while within the tolerance
	changed chan struct{} // closed by the next change of ahead
	logged  time.Time
}

const (
	clockLogInterval = 30 * time.Second
	// clockDrift is the least change of the difference that is worth following.
	clockDrift = 200 * time.Millisecond
)

func newLimitedClock(host Clock, store *ticks.Store, logger *slog.Logger) *limitedClock {
	return &limitedClock{Clock: host, store: store, logger: logger, changed: make(chan struct{})}
}

func (c *limitedClock) Now() time.Time {
	ahead, _ := c.state()
	return c.Clock.Now().Add(-ahead)
}

func (c *limitedClock) WaitUntil(ctx context.Context, t time.Time) error {
	for {
		ahead, moved := c.state()
		waiting, cancel := context.WithCancel(ctx)
		go func() {
			select {
			case <-moved:
				cancel()
			case <-waiting.Done():
			}
		}()
		err := c.Clock.WaitUntil(waiting, t.Add(ahead))
		cancel()
		if err == nil || ctx.Err() != nil {
			return ctx.Err()
		}
	}
}

// measure compares the host's clock with Redis's. Its error is the store's.
func (c *limitedClock) measure(ctx context.Context) error {
	host := c.Clock.Now() // before the question, so that a slow answer does not look like a fast clock
	redis, err := c.store.Clock(ctx)
	if err != nil {
		return err
	}
	c.observe(host.Sub(redis))
	return nil
}

func (c *limitedClock) observe(ahead time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if ahead <= ticks.Tolerance {
		ahead = 0
	}
	switch now := time.Now(); {
	case ahead == 0 && c.ahead != 0:
		c.logged = time.Time{}
		c.logger.Info("this host's clock agrees with Redis's again")
	case ahead != 0 && now.Sub(c.logged) >= clockLogInterval:
		c.logged = now
		c.logger.Error("this host's clock is ahead of Redis's: ticks go by Redis's clock until both are set right",
			"ahead", ahead.Round(100*time.Millisecond))
	}
	if ahead == c.ahead || ahead != 0 && (ahead-c.ahead).Abs() < clockDrift {
		return
	}
	c.ahead = ahead
	close(c.changed)
	c.changed = make(chan struct{})
}

// current is an error while Redis's clock is used.
func (c *limitedClock) current() error {
	ahead, _ := c.state()
	if ahead == 0 {
		return nil
	}
	return fmt.Errorf("this host's clock is %v ahead of Redis's: ticks go by Redis's clock until both are set right",
		ahead.Round(100*time.Millisecond))
}

func (c *limitedClock) state() (ahead time.Duration, moved <-chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ahead, c.changed
}
