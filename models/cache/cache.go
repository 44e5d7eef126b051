package cache

import (
	"context"
	"errors"
	"fmt"
	"strings"
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
	counts  counts
}

// New makes a cache and registers it with the store. It panics on a Config that makes no sense.
func New[K ID, T any](s *Store, cfg Config[K, T]) *Cache[K, T] {
	c := &Cache[K, T]{store: s, cfg: cfg.complete(s)}
	c.flights.open = make(map[K]*flight[K, T])
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
	return entry{key: key, message: c.cfg.Name + " " + formatID(id)}, nil
}

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
	e, err := c.entry(id)
	if err != nil {
		return nil, err
	}
	v, err := c.store.get(ctx, e.key)
	if err == nil && v != nil {
		if it, ok := c.decode(ctx, e.key, v); ok {
			c.counts.hit(it.null)
			return it, nil
		}
	}
	if ctx.Err() != nil {
		return nil, fmt.Errorf("reading %s: %w", e.key, context.Cause(ctx))
	}
	items, err := c.miss(ctx, []want[K, T]{{id: id, entry: e, bad: v}})
	if err != nil {
		return nil, err
	}
	return items[0], nil
}

// findMany is a batch of values, wherever they are.
func (c *Cache[K, T]) findMany(ctx context.Context, ids []K) ([]*item[T], error) {
	entries, err := c.entries(ids)
	if err != nil {
		return nil, err
	}
	keys := make([]string, len(ids))
	for i, e := range entries {
		keys[i] = e.key
	}
	found, err := c.store.getMany(ctx, keys)
	if ctx.Err() != nil {
		return nil, fmt.Errorf("reading %s: %w", c.cfg.Name, context.Cause(ctx))
	}
	if err != nil {
		found = make([]raw, len(ids))
	}
	items := make([]*item[T], len(ids))
	var missing []want[K, T]
	var at []int
	for i, v := range found {
		if v != nil {
			if it, ok := c.decode(ctx, keys[i], v); ok {
				c.counts.hit(it.null)
				items[i] = it
				continue
			}
		}
		missing, at = append(missing, want[K, T]{id: ids[i], entry: entries[i], bad: v}), append(at, i)
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
