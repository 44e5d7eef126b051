package cache

import (
	"context"
	"errors"

	"github.com/redis/go-redis/v9"
)

// raw is what Redis holds under a key: nil is nothing.
type raw []byte

// reply is what Redis said of one key.
type reply struct {
	value    raw
	degraded bool // the primary did not answer
	err      error
}

// fetch reads values in one round trip to each node that has some of them: from the primary, and what that does not answer
// from the replica.
func (b backends) fetch(ctx context.Context, keys []string) []reply {
	replies := make([]reply, len(keys))
	b.primary.fetch(ctx, keys, replies)
	var left []string
	var at []int // their places
	var gone *awayError
	for i := range replies {
		if errors.As(replies[i].err, &gone) {
			replies[i].degraded = true
			left, at = append(left, keys[i]), append(at, i)
		}
	}
	if len(left) == 0 || b.replica == nil {
		return replies
	}
	again := make([]reply, len(left))
	b.replica.fetch(ctx, left, again)
	for n, i := range at {
		replies[i].value, replies[i].err = again[n].value, again[n].err
	}
	return replies
}

// fetch sets the replies to what the server has.
func (s *server) fetch(ctx context.Context, keys []string, replies []reply) {
	all := true // or nothing
	err := s.use(ctx, func(ctx context.Context, rdb redis.UniversalClient) error {
		if _, cluster := rdb.(*redis.ClusterClient); cluster {
			all = false
			return fetchEach(ctx, rdb, keys, replies)
		}
		return fetchAll(ctx, rdb, keys, replies)
	})
	if err == nil {
		return
	}
	for i := range replies {
		if all || replies[i].err != nil {
			replies[i].err = err
		}
	}
}

// fetchAll takes a key of another type for nothing; whoever then looks for it replaces it.
func fetchAll(ctx context.Context, rdb redis.UniversalClient, keys []string, replies []reply) error {
	found, err := rdb.MGet(ctx, keys...).Result()
	if err != nil {
		return err
	}
	for i, v := range found {
		if text, ok := v.(string); ok {
			replies[i].value = raw(text)
		}
	}
	return nil
}

// fetchEach is fetchAll for keys of different slots. The error is one of those that replies have.
func fetchEach(ctx context.Context, rdb redis.UniversalClient, keys []string, replies []reply) (first error) {
	pipe := rdb.Pipeline()
	commands := make([]*redis.StringCmd, len(keys))
	for i, key := range keys {
		commands[i] = pipe.Get(ctx, key)
	}
	_, _ = pipe.Exec(ctx) // each command has its own error
	for i, c := range commands {
		v, err := c.Bytes()
		switch {
		case errors.Is(err, redis.Nil), redis.HasErrorPrefix(err, "WRONGTYPE"):
		case err != nil:
			replies[i].err = err
			if first == nil || unreachable(err) {
				first = err
			}
		default:
			replies[i].value = v
		}
	}
	return first
}
