package counter

import (
	"context"
	"errors"
	"fmt"
	"maps"
	mathrand "math/rand/v2"
	"slices"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/paidui/paidui/models/cache"
	"github.com/paidui/paidui/models/redisx"
)

// Counts are those of one user.
type Counts struct {
	Articles   int64 `json:"articles"`
	Followings int64 `json:"followings"`
	Followers  int64 `json:"followers"`
}

func (c *Counts) of(k Kind) *int64 {
	switch k {
	case Articles:
		return &c.Articles
	case Followings:
		return &c.Followings
	}
	return &c.Followers
}

// CountsKey is where the counts of a user are cached: a hash with the fields articles, followings and followers. Other
// programs may read it.
func CountsKey(user int64) string { return "user:" + strconv.FormatInt(user, 10) + ":count" }

func leaseKey(user int64) string { return "paidui:cache:{" + CountsKey(user) + "}:lease" }

const (
	countsExpiry = 10 * time.Minute
	countsJitter = time.Minute
	leaseLife    = 10 * time.Second // longer than the counts take to be read
	leaseLook    = 10 * time.Millisecond
	leaseWait    = 200 * time.Millisecond // for somebody else who reads them
)

// Of returns the counts of a user, all 0 for one who does not exist: from the cache, else from the sorted sets, and from
// the database where those can't be relied on.
func (c *Counters) Of(ctx context.Context, user int64) (Counts, error) {
	if counts, ok := c.cached(ctx, user); ok {
		return counts, nil
	}
	counts, err := shared(ctx, c, flightKey(user), func(ctx context.Context) (Counts, error) { return c.look(ctx, user) })
	if err != nil {
		return Counts{}, fmt.Errorf("counts of user %d: %w", user, err)
	}
	return counts, nil
}

func flightKey(user int64) string { return strconv.FormatInt(user, 10) }

// cached reads the hash. Whatever is wrong with it is a miss.
func (c *Counters) cached(ctx context.Context, user int64) (counts Counts, ok bool) {
	err := c.store.Read(ctx, func(ctx context.Context, rdb redis.UniversalClient) error {
		values, err := rdb.HMGet(ctx, CountsKey(user), kindNames...).Result()
		counts, ok = readCounts(values)
		return err
	})
	switch {
	case errors.Is(err, cache.ErrAway):
		c.meter.Degraded()
	case err == nil && ok:
		c.meter.Hit()
		return counts, true
	default:
		c.meter.Miss()
	}
	return counts, false
}

// kindNames are the fields of the hash.
var kindNames = []string{string(Articles), string(Followings), string(Followers)}

// readCounts refuses what is none.
func readCounts(values []any) (counts Counts, ok bool) {
	if len(values) != len(kindNames) {
		return counts, false
	}
	for i, k := range Kinds() {
		text, _ := values[i].(string)
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil || n < 0 {
			return Counts{}, false
		}
		*counts.of(k) = n
	}
	return counts, true
}

// lookTries is how often counts are read anew that change while they are read.
const lookTries = 3

// look reads the counts anew and caches them.
func (c *Counters) look(ctx context.Context, user int64) (counts Counts, err error) {
	for range lookTries {
		token := redisx.NewLeaseToken()
		found, mine := c.lease(ctx, user, token)
		if found != nil {
			return *found, nil
		}
		read := c.store.Read
		if mine {
			read = c.store.Use // what a replica says may be old, and is not to be cached
		}
		begun := time.Now()
		if counts, err = c.compute(ctx, user, read); err != nil {
			c.meter.Failed()
			return Counts{}, err
		}
		if !mine {
			return counts, nil
		}
		stored, err := c.fill(ctx, user, token, counts)
		c.meter.Loaded(time.Since(begun), stored)
		if stored || err != nil {
			return counts, nil
		}
	}
	return counts, nil
}

// lease gives the counts, if they are cached by now, or whether the caller is to cache them: not while Redis is away. While
// another process does so it waits a little.
func (c *Counters) lease(ctx context.Context, user int64, token string) (counts *Counts, mine bool) {
	args := []any{token, leaseLife.Milliseconds(), kindNames[0], kindNames[1], kindNames[2]}
	for begun := time.Now(); ; {
		var answer any
		err := c.store.Use(ctx, func(ctx context.Context, rdb redis.UniversalClient) (err error) {
			answer, err = getOrLeaseScript.Run(ctx, rdb, []string{CountsKey(user), leaseKey(user)}, args...).Result()
			return err
		})
		if err != nil || answer == "mine" {
			return nil, err == nil
		}
		if values, found := answer.([]any); found {
			if counts, ok := readCounts(values); ok {
				return &counts, false
			}
			if err := c.drop(ctx, map[int64]bool{user: true}); err != nil { // it is nothing of ours
				return nil, false
			}
			continue
		}
		if time.Since(begun) > leaseWait {
			return nil, false
		}
		timer := time.NewTimer(leaseLook)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil, false
		case <-timer.C:
		}
	}
}

// fill caches counts, if token still holds the lease, and reports whether it did.
func (c *Counters) fill(ctx context.Context, user int64, token string, counts Counts) (stored bool, err error) {
	args := []any{token, (countsExpiry + mathrand.N(countsJitter)).Milliseconds()}
	for i, k := range Kinds() {
		args = append(args, kindNames[i], *counts.of(k))
	}
	err = c.store.Use(ctx, func(ctx context.Context, rdb redis.UniversalClient) (err error) {
		stored, err = fillScript.Run(ctx, rdb, []string{CountsKey(user), leaseKey(user)}, args...).Bool()
		return err
	})
	return stored && err == nil, err
}

// reader is Store.Read, or Store.Use.
type reader func(ctx context.Context, f func(ctx context.Context, rdb redis.UniversalClient) error) error

// compute reads the counts from the sorted sets, and from the database what they do not tell.
func (c *Counters) compute(ctx context.Context, user int64, read reader) (counts Counts, err error) {
	var unknown []Kind
	for _, k := range Kinds() {
		n, ok := c.score(ctx, k, user, read)
		if !ok {
			unknown = append(unknown, k)
		}
		*counts.of(k) = n
	}
	if len(unknown) == 0 {
		return counts, nil
	}
	err = c.store.Load(ctx, func(ctx context.Context) error {
		for _, k := range unknown {
			n, err := c.db.one(ctx, k, user)
			if err != nil {
				return err
			}
			*counts.of(k) = n
		}
		return nil
	})
	return counts, err
}

// score reads a count from its sorted set. It is not ok when it can't be relied on; then it asks for a reconciliation.
func (c *Counters) score(ctx context.Context, k Kind, user int64, read reader) (n int64, ok bool) {
	var text string
	err := read(ctx, func(ctx context.Context, rdb redis.UniversalClient) (err error) {
		text, err = countScript.Run(ctx, rdb, keys(k), user).Text()
		return err
	})
	switch {
	case ctx.Err() != nil || errors.Is(err, cache.ErrAway):
		return 0, false
	case text == "suspect":
		c.ask(ctx, Args{Suspects: true})
		return 0, false
	case err != nil || text == "unbuilt": // an error is one of the type, which somebody else has changed
		c.ask(ctx, Args{})
		return 0, false
	}
	score, err := strconv.ParseFloat(text, 64)
	return int64(score), err == nil
}

// invalidateBatch is how many users' counts are dropped at a time.
const invalidateBatch = 500

// drop is invalidate for a few users, and quick about it when Redis is away.
func (c *Counters) drop(ctx context.Context, users map[int64]bool) error {
	return c.store.Use(ctx, func(ctx context.Context, rdb redis.UniversalClient) error { return c.invalidateIn(ctx, rdb, users) })
}

// invalidate drops what is cached of users' counts, and keeps those who are computing it from caching it.
func (c *Counters) invalidate(ctx context.Context, users map[int64]bool) error {
	return c.invalidateIn(ctx, c.redisCounts.rdb, users)
}

func (c *Counters) invalidateIn(ctx context.Context, rdb redis.UniversalClient, users map[int64]bool) error {
	all := slices.Collect(maps.Keys(users))
	for some := range slices.Chunk(all, invalidateBatch) {
		pipe := rdb.Pipeline()
		for _, user := range some {
			c.flight.Forget(flightKey(user))
			pipe.Del(ctx, CountsKey(user), leaseKey(user))
		}
		if _, err := pipe.Exec(ctx); err != nil {
			return fmt.Errorf("drop cached counts: %w", err)
		}
	}
	return nil
}
