package cache

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
)

// encoding is what HTTP shows of a value.
type encoding struct {
	json []byte
	etag string
}

// Encoded returns the JSON of what View shows of id's value, and a strong entity tag of it, or ErrNull. Both are made once
// for as long as the process keeps the value. The caller must not change the JSON.
func (c *Cache[K, T]) Encoded(ctx context.Context, id K) (data []byte, etag string, err error) {
	it, err := c.find(ctx, id)
	if err != nil {
		return nil, "", err
	}
	if it.null {
		return nil, "", fmt.Errorf("%s %v: %w", c.cfg.Name, id, ErrNull)
	}
	e := it.encoded.Load()
	if e == nil {
		if e, err = c.encoding(it); err != nil {
			return nil, "", fmt.Errorf("encoding %s %v: %w", c.cfg.Name, id, err)
		}
		it.encoded.Store(e)
	}
	return e.json, e.etag, nil
}

func (c *Cache[K, T]) encoding(it *item[T]) (*encoding, error) {
	data := []byte(bytes.TrimRight(it.raw, " "))
	if c.cfg.View != nil {
		var err error
		if data, err = json.Marshal(c.cfg.View(it.value)); err != nil {
			return nil, err
		}
	}
	return &encoding{data, etagOf(data)}, nil
}

// etagOf is a strong entity tag, the same in all processes: of so many bits that no two contents share it.
func etagOf(data []byte) string {
	sum := sha256.Sum256(data)
	const bits = 120
	return `"` + base64.RawURLEncoding.EncodeToString(sum[:bits/8]) + `"`
}
