package cache

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
)

// Encoded returns the JSON of what View shows of id's value, and a strong entity tag of it, or ErrNull. The caller must
// not change the JSON.
func (c *Cache[K, T]) Encoded(ctx context.Context, id K) (data []byte, etag string, err error) {
	it, err := c.find(ctx, id)
	if err != nil {
		return nil, "", err
	}
	if it.null {
		return nil, "", fmt.Errorf("%s %v: %w", c.cfg.Name, id, ErrNull)
	}
	data = it.raw
	if c.cfg.View != nil {
		if data, err = json.Marshal(c.cfg.View(it.value)); err != nil {
			return nil, "", fmt.Errorf("encoding %s %v: %w", c.cfg.Name, id, err)
		}
	}
	sum := sha256.Sum256(data)
	return data, `"` + base64.RawURLEncoding.EncodeToString(sum[:16]) + `"`, nil
}
