package cache

import (
	"context"
	"errors"

	"github.com/redis/go-redis/v9"
)

// raw is what Redis holds under a key: nil is nothing.
type raw []byte

// fetch reads values in one round trip to each node that has some of them.
func (b backends) fetch(ctx context.Context, keys []string) (values []raw, degraded bool, err error) {
	degraded, err = b.read(ctx, func(ctx context.Context, rdb redis.UniversalClient) (err error) {
		if _, cluster := rdb.(*redis.ClusterClient); cluster {
			values, err = fetchEach(ctx, rdb, keys)
		} else {
			values, err = fetchAll(ctx, rdb, keys)
		}
		return err
	})
	return values, degraded, err
}

// fetchAll takes a key of another type for nothing; whoever then looks for it replaces it.
func fetchAll(ctx context.Context, rdb redis.UniversalClient, keys []string) ([]raw, error) {
	found, err := rdb.MGet(ctx, keys...).Result()
	if err != nil {
		return nil, err
	}
	values := make([]raw, len(keys))
	for i, v := range found {
		if text, ok := v.(string); ok {
			values[i] = raw(text)
		}
	}
	return values, nil
}

// fetchEach is fetchAll for keys of different slots.
func fetchEach(ctx context.Context, rdb redis.UniversalClient, keys []string) ([]raw, error) {
	pipe := rdb.Pipeline()
	commands := make([]*redis.StringCmd, len(keys))
	for i, key := range keys {
		commands[i] = pipe.Get(ctx, key)
	}
	_, _ = pipe.Exec(ctx) // each command has its own error
	values := make([]raw, len(keys))
	for i, c := range commands {
		v, err := c.Bytes()
		switch {
		case errors.Is(err, redis.Nil), redis.HasErrorPrefix(err, "WRONGTYPE"):
		case err != nil:
			return nil, err
		default:
			values[i] = v
		}
	}
	return values, nil
}
