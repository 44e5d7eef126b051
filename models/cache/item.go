package cache

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"sync/atomic"
)

// null is how Redis holds the value of what is not in the database.
const null = "-1"

// item is a value as it is cached. Nobody changes it, but for its encoding, which is made when it is first wanted.
type item[T any] struct {
	value   T
	null    bool
	raw     raw // its JSON
	encoded atomic.Pointer[encoding]
}

// decode makes an item of what Redis holds. What makes none is logged, and to be replaced.
func (c *Cache[K, T]) decode(ctx context.Context, key string, v raw) (*item[T], bool) {
	it := &item[T]{raw: v}
	if string(v) == null {
		it.null = true
		return it, true
	}
	if err := json.Unmarshal(v, &it.value); err != nil {
		c.store.metrics.broken.Inc()
		c.store.warn(ctx, "a cached value does not decode; it will be replaced", "cache", c.cfg.Name, "key", key, "error", err)
		return nil, false
	}
	return it, true
}

// encode makes an item of what was loaded, or was not there to be loaded.
func encode[T any](value T, found bool) (*item[T], error) {
	if !found {
		return &item[T]{null: true, raw: raw(null)}, nil
	}
	v, err := json.Marshal(value)
	if err != nil {
		return nil, fmt.Errorf("encoding: %w", err)
	}
	if bytes.Equal(v, []byte(null)) {
		v = append(v, ' ') // a number that is not null
	}
	return &item[T]{value: value, raw: v}, nil
}
