package beat

import (
	"context"
	"time"
)

// Clock tells the time by which ticks happen.
type Clock interface {
	// Now is the current time.
	Now() time.Time
	// WaitUntil returns nil once Now is not before t, or ctx's error when that ends first.
	WaitUntil(ctx context.Context, t time.Time) error
	// Sleep returns nil after d, also when Now is set meanwhile, or ctx's error when that ends first.
	Sleep(ctx context.Context, d time.Duration) error
}

// systemClock is the host's.
type systemClock struct{}

// Without its monotonic part, a time is compared by what the host's clock says, as ticks are.
func (systemClock) Now() time.Time { return time.Now().Round(0) }

// maxWait bounds a sleep, so that a host's clock that was set, or a host that was suspended, is noticed: timers count
// the time that the process could run.
const maxWait = 15 * time.Second

func (c systemClock) WaitUntil(ctx context.Context, t time.Time) error {
	for {
		remaining := t.Sub(c.Now())
		if remaining <= 0 {
			return ctx.Err()
		}
		if err := c.Sleep(ctx, min(remaining, maxWait)); err != nil {
			return err
		}
	}
}

func (systemClock) Sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
