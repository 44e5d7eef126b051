// Package cache keeps JSON values of the database in Redis: cache-aside with single flight, jittered expiry and
// fills that cannot bring an old value back.
package cache

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"runtime/debug"
	"time"

	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/singleflight"
)

// Options tunes a Cache. A zero field takes the default named beside it.
type Options struct {
	Logger *slog.Logger // slog.Default()
}

const (
	meanExpiry    = 10 * time.Minute // a value is kept for a tenth less to a tenth more
	redisTimeout  = 500 * time.Millisecond
	loadTimeout   = 10 * time.Second // of one load, the wait for a slot included; shorter than maxLoad
	parallelLoads = 16               // that run at once
)

// Load reads the value of key from the database.
type Load[T any] func(ctx context.Context) (T, error)

// Cache holds values of type T in Redis as JSON. All methods may be called concurrently.
//
// Redis is a help, not a need: when it does not answer, Get loads from the database, with one load a key and a
// bounded number of loads at a time.
type Cache[T any] struct {
	rdb    redis.UniversalClient
	log    *slog.Logger
	flight singleflight.Group
	slots  chan struct{}
	health health
}

// New makes a cache over rdb.
func New[T any](rdb redis.UniversalClient, opt Options) *Cache[T] {
	if opt.Logger == nil {
		opt.Logger = slog.Default()
	}
	return &Cache[T]{rdb: rdb, log: opt.Logger, slots: make(chan struct{}, parallelLoads)}
}

// Get returns the cached value of key, or else what load returns, which it then caches. Concurrent misses of one
// key share one load, and so one value, which they must not change; each caller still waits no longer than its own
// ctx. Only load's errors and ctx's are returned.
func (c *Cache[T]) Get(ctx context.Context, key string, load Load[T]) (T, error) {
	if v, ok := c.read(ctx, key); ok {
		return v, nil
	}
	done := c.flight.DoChan(key, func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), loadTimeout)
		defer cancel()
		return c.miss(ctx, key, load)
	})
	var zero T
	select {
	case <-ctx.Done():
		return zero, fmt.Errorf("reading %s: %w", key, context.Cause(ctx))
	case r := <-done:
		if r.Err != nil {
			return zero, r.Err
		}
		return r.Val.(T), nil
	}
}

// Refresh loads the value of key and caches it, whatever was cached before. Of overlapping refreshes the one that
// began last wins. The loaded value is returned even when it could not be cached; the error then says why.
func (c *Cache[T]) Refresh(ctx context.Context, key string, load Load[T]) (T, error) {
	c.flight.Forget(key)
	ctx, cancel := context.WithTimeout(ctx, loadTimeout)
	defer cancel()
	began, err := c.now(ctx, key)
	v, loadErr := c.load(ctx, load)
	if loadErr != nil {
		return v, loadErr
	}
	if err != nil {
		return v, fmt.Errorf("refreshing %s: %w", key, err)
	}
	return v, c.fill(ctx, key, v, began)
}

// Delete drops keys from the cache, and with them every fill whose load began before this call: call it after the
// commit, and no reader can bring the old value back.
func (c *Cache[T]) Delete(ctx context.Context, keys ...string) error {
	var errs []error
	for _, key := range keys {
		c.flight.Forget(key)
		if err := voidScript.Run(ctx, c.rdb, []string{key, stampKey(key)}, stampExpiry.Milliseconds()).Err(); err != nil {
			errs = append(errs, fmt.Errorf("deleting %s from the cache: %w", key, err))
		}
	}
	return errors.Join(errs...)
}

// read answers a hit. Anything else, a Redis that fails included, is a miss.
func (c *Cache[T]) read(ctx context.Context, key string) (v T, ok bool) {
	if !c.health.allow(time.Now()) {
		return v, false
	}
	opCtx, cancel := context.WithTimeout(ctx, redisTimeout)
	defer cancel()
	raw, err := c.rdb.Get(opCtx, key).Bytes()
	if ctx.Err() == nil {
		c.heard(key, err)
	}
	if err != nil {
		return v, false
	}
	return c.decode(key, raw)
}

// heard notes what a read of Redis came to.
func (c *Cache[T]) heard(key string, err error) {
	if err == nil || errors.Is(err, redis.Nil) {
		c.health.ok()
		return
	}
	c.failed("cache read failed", key, err)
	c.health.fail(time.Now())
}

func (c *Cache[T]) decode(key string, raw []byte) (v T, ok bool) {
	if err := json.Unmarshal(raw, &v); err != nil {
		c.failed("cached value does not decode", key, err)
		var zero T
		return zero, false
	}
	return v, true
}

// miss runs once for all concurrent readers of key: it looks again, for another process may have filled meanwhile,
// then loads and fills.
func (c *Cache[T]) miss(ctx context.Context, key string, load Load[T]) (v T, err error) {
	defer func() { // singleflight would let the panic end the process
		if p := recover(); p != nil {
			err = fmt.Errorf("loading %s: panic: %v\n%s", key, p, debug.Stack())
		}
	}()
	var began int64
	if c.health.allow(time.Now()) {
		raw, found, now, err := c.look(ctx, key)
		c.heard(key, err)
		if found {
			if v, ok := c.decode(key, []byte(raw)); ok {
				return v, nil
			}
		}
		began = now
	}
	if v, err = c.load(ctx, load); err != nil {
		return v, err
	}
	if began > 0 {
		if err := c.fill(ctx, key, v, began); err != nil {
			c.failed("cache fill failed", key, err)
		}
	}
	return v, nil
}

func (c *Cache[T]) load(ctx context.Context, load Load[T]) (T, error) {
	select {
	case c.slots <- struct{}{}:
		defer func() { <-c.slots }()
		return load(ctx)
	case <-ctx.Done():
		var zero T
		return zero, fmt.Errorf("waiting for one of %d loads: %w", cap(c.slots), context.Cause(ctx))
	}
}

func (c *Cache[T]) fill(ctx context.Context, key string, v T, began int64) error {
	raw, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encoding %s: %w", key, err)
	}
	ctx, cancel := context.WithTimeout(ctx, redisTimeout)
	defer cancel()
	const spread = meanExpiry / 10
	expiry := meanExpiry - spread + rand.N(2*spread+1)
	err = fillScript.Run(ctx, c.rdb, []string{key, stampKey(key)},
		raw, began, expiry.Milliseconds(), maxLoad.Microseconds(), stampExpiry.Milliseconds()).Err()
	if err != nil {
		return fmt.Errorf("filling %s: %w", key, err)
	}
	return nil
}

// failed logs at most one line a second: a Redis that is gone fails every read.
func (c *Cache[T]) failed(msg, key string, err error) {
	if c.health.mayLog(time.Now()) {
		c.log.Warn(msg, "key", key, "error", err)
	}
}
