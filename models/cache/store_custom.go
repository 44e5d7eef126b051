package cache

import (
	"context"
	"time"

	"github.com/redis/go-redis/v9"
)

// What appliers with structures of their own in Redis need to behave like a cache, beside Read and Load.

// Use runs f, which may write, on the primary, under a time limit. f returns what its commands returned. ErrAway means
// that Redis did not answer, and then what f wrote may be written or not. While Redis does not answer, Use is quick about
// it, as Read is.
func (s *Store) Use(ctx context.Context, f func(ctx context.Context, rdb redis.UniversalClient) error) error {
	return s.onPrimary(ctx, f)
}

// Go runs f beside its caller, with the values of ctx but not its end: f's context ends with Close, which waits for f. It
// reports false, and does not run f, when the store is closed.
func (s *Store) Go(ctx context.Context, f func(ctx context.Context)) bool {
	return s.shutdown.run(ctx, f)
}

// Meter counts what becomes of reads, in the metrics that every cache has.
type Meter struct{ m cacheMetrics }

// Meter gives the metrics of the cache with that name.
func (s *Store) Meter(name string) Meter { return Meter{s.metrics.of(name)} }

// Hit is a read that Redis answered.
func (m Meter) Hit() { m.m.hits.Inc() }

// Null is a read that Redis answered with: there is nothing.
func (m Meter) Null() { m.m.nulls.Inc() }

// Miss is a read that found nothing cached.
func (m Meter) Miss() { m.m.misses.Inc() }

// Degraded is a read for which Redis did not answer.
func (m Meter) Degraded() { m.m.degraded.Inc() }

// Loaded is a load that took so long, and was stored, or was refused because what it read may have changed since.
func (m Meter) Loaded(took time.Duration, stored bool) {
	m.m.load.Observe(took.Seconds())
	if stored {
		m.m.fills.Inc()
	} else {
		m.m.refused.Inc()
	}
}

// Failed is a load that failed.
func (m Meter) Failed() { m.m.failed.Inc() }
