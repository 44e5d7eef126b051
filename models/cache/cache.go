package cache

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// ErrNull is a value that is not in the database, as the cache may know.
var ErrNull = errors.New("not in the database")

// batch is how many values are read, loaded and stored together at most.
const batch = 1000

// Cache keeps the values of one kind. All methods may be called concurrently. Values are shared between callers, who
// must not change them.
type Cache[K ID, T any] struct {
	store   *Store
	cfg     Config[K, T]
	flights flights[K, T]
	near    near[K, T]
	counts  cacheMetrics
}

// New makes a cache and registers it with the store. It panics on a Config that makes no sense.
func New[K ID, T any](s *Store, cfg Config[K, T]) *Cache[K, T] {
	c := &Cache[K, T]{store: s, cfg: cfg.complete(s)}
	c.flights.open = make(map[K]*flight[K, T])
	c.near = newNear[K, T](c.cfg.Near, c.cfg.NearExpiry, c.cfg.Stale, s.began)
	c.counts = s.metrics.of(c.cfg.Name)
	s.Register(c)
	return c
}

// Name implements Applier.
func (c *Cache[K, T]) Name() string { return c.cfg.Name }

// Get returns the value of id, or ErrNull: from the cache, or else from the database, and then the cache has it.
// Concurrent misses of an id share one load, in the process and, as far as Redis answers, among all processes; each
// caller waits no longer than its ctx.
func (c *Cache[K, T]) Get(ctx context.Context, id K) (T, error) {
	it, err := c.find(ctx, id)
	switch {
	case err != nil:
		var zero T
		return zero, err
	case it.null:
		return it.value, fmt.Errorf("%s %v: %w", c.cfg.Name, id, ErrNull)
	}
	return it.value, nil
}

// GetMany returns the values of ids, without those that are null. All that are cached take one round trip to Redis, and
// all others one load.
func (c *Cache[K, T]) GetMany(ctx context.Context, ids []K) (map[K]T, error) {
	values := make(map[K]T, len(ids))
	err := inBatches(unique(ids), func(ids []K) error {
		items, err := c.findMany(ctx, ids)
		if err != nil {
			return err
		}
		for i, it := range items {
			if !it.null {
				values[ids[i]] = it.value
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return values, nil
}

// Exists tells whether id is in the database, as Get does.
func (c *Cache[K, T]) Exists(ctx context.Context, id K) (bool, error) {
	it, err := c.find(ctx, id)
	if err != nil {
		return false, err
	}
	return !it.null, nil
}

// Changes are what a write to ids makes untrue, for Store.Write; none where the strategy does not follow writes.
func (c *Cache[K, T]) Changes(ids ...K) []Change {
	if !c.cfg.Strategy.follows() {
		return nil
	}
	changes := make([]Change, len(ids))
	for i, id := range ids {
		changes[i] = Change{Cache: c.cfg.Name, ID: formatID(id)}
	}
	return changes
}

// entry is the value's place in Redis.
func (c *Cache[K, T]) entry(id K) (entry, error) {
	key := c.cfg.Key(id)
	if key == "" || strings.ContainsAny(key, "{}") {
		return entry{}, fmt.Errorf("cache %s: the key %q of %v is empty or holds a brace", c.cfg.Name, key, id)
	}
	return entry{key: key, message: c.message(id)}, nil
}

// message says that the value of id has changed.
func (c *Cache[K, T]) message(id K) string { return c.cfg.Name + " " + formatID(id) }

func (c *Cache[K, T]) entries(ids []K) ([]entry, error) {
	all := make([]entry, len(ids))
	for i, id := range ids {
		var err error
		if all[i], err = c.entry(id); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// find is one value, wherever it is.
func (c *Cache[K, T]) find(ctx context.Context, id K) (*item[T], error) {
	if it, ok := c.kept(id); ok {
		return it, nil
	}
	e, err := c.entry(id)
	if err != nil {
		return nil, err
	}
	r := c.reading(e)
	if c.store.nulls.has(e.key) {
		c.counts.nulls.Inc()
		return &item[T]{null: true, raw: raw(null)}, nil
	}
	got := c.store.reads.get(ctx, e.key)
	if ctx.Err() != nil {
		return nil, fmt.Errorf("reading %s: %w", e.key, context.Cause(ctx))
	}
	if it := c.hit(ctx, id, e, r, got.value, got.degraded); it != nil {
		return it, nil
	}
	items, err := c.miss(ctx, []want[K, T]{{id: id, entry: e, bad: got.value}})
	if err != nil {
		return nil, err
	}
	return items[0], nil
}

// hit makes an item of what Redis holds, and keeps it; nil is a miss. What a replica says may be older than the last
// message, and is not kept.
func (c *Cache[K, T]) hit(ctx context.Context, id K, e entry, r reading, v raw, degraded bool) *item[T] {
	if degraded {
		c.counts.degraded.Inc()
	}
	if v == nil {
		return nil
	}
	it, ok := c.near.same(id, v)
	if !ok {
		if it, ok = c.decode(ctx, id, e.key, v); !ok {
			return nil
		}
	}
	if it.null {
		c.counts.nulls.Inc()
	} else {
		c.counts.hits.Inc()
	}
	if !degraded {
		c.near.keep(id, it, r)
	}
	return it
}

// kept is what the process has of id and is fresh.
func (c *Cache[K, T]) kept(id K) (*item[T], bool) {
	it, ok := c.near.get(id)
	switch {
	case !ok:
	case it.null:
		c.counts.nulls.Inc()
	default:
		c.counts.near.Inc()
	}
	return it, ok
}

// reading begins one.
func (c *Cache[K, T]) reading(e entry) reading {
	return reading{mark: c.store.generations.note(e.message), at: time.Since(c.store.began)}
}

// findMany is a batch of values, wherever they are.
func (c *Cache[K, T]) findMany(ctx context.Context, ids []K) ([]*item[T], error) {
	items := make([]*item[T], len(ids))
	var far []int // places of ids that are to be asked for
	for i, id := range ids {
		if it, ok := c.kept(id); ok {
			items[i] = it
		} else {
			far = append(far, i)
		}
	}
	if len(far) == 0 {
		return items, nil
	}
	keys, entries, readings := make([]string, len(far)), make([]entry, len(far)), make([]reading, len(far))
	for n, i := range far {
		var err error
		if entries[n], err = c.entry(ids[i]); err != nil {
			return nil, err
		}
		keys[n], readings[n] = entries[n].key, c.reading(entries[n])
	}
	found := c.store.backends.fetch(ctx, keys)
	if ctx.Err() != nil {
		return nil, fmt.Errorf("reading %s: %w", c.cfg.Name, context.Cause(ctx))
	}
	var missing []want[K, T]
	var at []int
	for n, i := range far {
		if it := c.hit(ctx, ids[i], entries[n], readings[n], found[n].value, found[n].degraded); it != nil {
			items[i] = it
			continue
		}
		missing, at = append(missing, want[K, T]{id: ids[i], entry: entries[n], bad: found[n].value}), append(at, i)
	}
	if len(missing) == 0 {
		return items, nil
	}
	others, err := c.miss(ctx, missing)
	if err != nil {
		return nil, err
	}
	for i, it := range others {
		items[at[i]] = it
	}
	return items, nil
}

// forgetEverything has all next readers begin anew.
func (c *Cache[K, T]) forgetEverything() { c.flights.forgetAll() }

// forget has the next readers of id begin anew, whatever this process is about.
func (c *Cache[K, T]) forget(text string) {
	if id, err := parseID[K](text); err == nil {
		c.flights.forget(id)
	}
}

// inBatches calls f with pieces of ids.
func inBatches[K any](ids []K, f func([]K) error) error {
	for len(ids) > 0 {
		n := min(len(ids), batch)
		if err := f(ids[:n]); err != nil {
			return err
		}
		ids = ids[n:]
	}
	return nil
}

// unique leaves out what comes again.
func unique[K comparable](ids []K) []K {
	seen := make(map[K]bool, len(ids))
	only := make([]K, 0, len(ids))
	for _, id := range ids {
		if !seen[id] {
			seen[id] = true
			only = append(only, id)
		}
	}
	return only
}
