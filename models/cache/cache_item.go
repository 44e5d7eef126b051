package cache

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
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

// errForeign says that a value decodes, and is none of this cache all the same.
var errForeign = errors.New("it is not a value of this id")

// decode makes an item of what Redis holds. What makes none is logged, and to be replaced.
func (c *Cache[K, T]) decode(ctx context.Context, id K, key string, v raw) (*item[T], bool) {
	it := &item[T]{raw: v}
	if string(v) == null && !c.cfg.neverNull {
		it.null = true
		return it, true
	}
	err := json.Unmarshal(v, &it.value)
	if err == nil && c.cfg.Valid != nil && !c.cfg.Valid(id, it.value) {
		err = errForeign
	}
	if err != nil {
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
