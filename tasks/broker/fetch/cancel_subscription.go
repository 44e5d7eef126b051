package fetch

import (
	"context"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// The pauses between asynq's tries to subscribe to cancellations, beside its own of 5 s.
const (
	firstCancelPause = 5 * time.Second
	maxCancelPauses  = 8 // times the first
)

// cancels is asynq's subscription to the cancellations that its own tools publish.
type cancels struct {
	first time.Duration

	mu    sync.Mutex
	last  *redis.PubSub
	pause time.Duration
}

// Subscribe is how asynq subscribes to cancellations. When Redis refuses that, asynq drops the subscription without
// closing it, and subscribes again every 5 s for ever. So each call closes the subscription of the call before, which
// asynq has given up, and waits longer than that one did.
func (f *Fetcher) Subscribe(ctx context.Context, channels ...string) *redis.PubSub {
	f.cancels.mu.Lock()
	defer f.cancels.mu.Unlock()
	if f.cancels.last != nil {
		_ = f.cancels.last.Close() // of no use any more
		f.cancels.pause = min(max(2*f.cancels.pause, f.cancels.first), maxCancelPauses*f.cancels.first)
		timer := time.NewTimer(f.cancels.pause)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-f.closed: // asynq's shutdown waits for this call
		}
	}
	f.cancels.last = f.UniversalClient.Subscribe(ctx, channels...)
	return f.cancels.last
}
