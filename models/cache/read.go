package cache

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
)

// ErrAway says that the cache's Redis does not answer, or that it has not been asked because it did not answer just now.
var ErrAway = errors.New("the cache's Redis does not answer")

// redisTimeout bounds one question to Redis.
const redisTimeout = 500 * time.Millisecond

// Read runs f, which only reads, on the primary, and where that fails on the replica. f returns what its commands
// returned; redis.Nil and other answers of a Redis that is well come back as they are. ErrAway means that no Redis
// answered; then, and for a second afterwards, Read is quick about it.
func (s *Store) Read(ctx context.Context, f func(ctx context.Context, rdb redis.UniversalClient) error) error {
	err := s.primary(ctx, f)
	if s.opt.Replica == nil || !errors.Is(err, ErrAway) {
		return err
	}
	limited, cancel := context.WithTimeout(ctx, redisTimeout)
	defer cancel()
	other := f(limited, s.opt.Replica)
	if ctx.Err() == nil && !answered(other) {
		return fmt.Errorf("%w; its replica: %w", err, other)
	}
	return other
}

// primary runs f on the primary alone.
func (s *Store) primary(ctx context.Context, f func(ctx context.Context, rdb redis.UniversalClient) error) error {
	if !s.health.allow(time.Now()) {
		return ErrAway
	}
	limited, cancel := context.WithTimeout(ctx, redisTimeout)
	defer cancel()
	err := f(limited, s.rdb)
	switch {
	case answered(err):
		s.health.ok()
		return err
	case ctx.Err() != nil:
		return context.Cause(ctx) // says nothing about Redis
	}
	s.health.fail(time.Now())
	s.warn(ctx, "the cache's Redis fails", "error", err)
	return fmt.Errorf("%w: %w", ErrAway, err)
}

// answered tells a Redis that is well, whatever it answers, from one that is not.
func answered(err error) bool {
	if err == nil || errors.Is(err, redis.Nil) {
		return true
	}
	var reply redis.Error
	if !errors.As(err, &reply) {
		return false
	}
	for _, prefix := range []string{"LOADING ", "CLUSTERDOWN ", "MASTERDOWN ", "TRYAGAIN "} {
		if redis.HasErrorPrefix(err, prefix) {
			return false
		}
	}
	return true
}

// raw is what Redis holds under a key: nil is nothing.
type raw []byte

// get reads one value.
func (s *Store) get(ctx context.Context, key string) (v raw, err error) {
	err = s.Read(ctx, func(ctx context.Context, rdb redis.UniversalClient) (err error) {
		v, err = valueOf(rdb.Get(ctx, key))
		return err
	})
	return v, err
}

// getMany reads values in one round trip to each node that has some of them.
func (s *Store) getMany(ctx context.Context, keys []string) (values []raw, err error) {
	if len(keys) == 1 {
		v, err := s.get(ctx, keys[0])
		return []raw{v}, err
	}
	values = make([]raw, len(keys))
	err = s.Read(ctx, func(ctx context.Context, rdb redis.UniversalClient) error {
		pipe := rdb.Pipeline()
		cmds := make([]*redis.StringCmd, len(keys))
		for i, key := range keys {
			cmds[i] = pipe.Get(ctx, key)
		}
		_, _ = pipe.Exec(ctx) // each command has its own error
		for i, cmd := range cmds {
			v, err := valueOf(cmd)
			if err != nil {
				return err
			}
			values[i] = v
		}
		return nil
	})
	return values, err
}

// valueOf takes a key of another type for an empty value, which no cache stores: it is replaced like one that does not
// decode.
func valueOf(cmd *redis.StringCmd) (raw, error) {
	v, err := cmd.Bytes()
	switch {
	case errors.Is(err, redis.Nil):
		return nil, nil
	case redis.HasErrorPrefix(err, "WRONGTYPE"):
		return raw{}, nil
	case err != nil:
		return nil, err
	}
	return v, nil
}
