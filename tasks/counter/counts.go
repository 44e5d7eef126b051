package counter

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
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

// lookScript KEYS: counts, lease; ARGV: token, life of the lease (ms), fields. It gives the counts, or 'mine' when the
// caller is to fill them, or 'busy' when another does.
var lookScript = redis.NewScript(`
local is = redis.call('TYPE', KEYS[1])['ok']
if is == 'hash' then
	return redis.call('HMGET', KEYS[1], ARGV[3], ARGV[4], ARGV[5])
elseif is ~= 'none' then
	redis.call('DEL', KEYS[1])
end
if redis.call('SET', KEYS[2], ARGV[1], 'NX', 'PX', ARGV[2]) then return 'mine' end
return 'busy'
`)

// fillScript KEYS: counts, lease; ARGV: token, expiry (ms), then fields and values. A lease that was voided fills nothing.
var fillScript = redis.NewScript(`
if redis.call('GET', KEYS[2]) ~= ARGV[1] then return 0 end
redis.call('DEL', KEYS[1], KEYS[2])
for i = 3, #ARGV, 2 do redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1]) end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 1
`)

// Of returns the counts of a user, all 0 for one who does not exist: from the cache, else from the sorted sets, and from
// the database where those can't be relied on.
func (c *Counters) Of(ctx context.Context, user int64) (Counts, error) {
	if counts, ok := c.cached(ctx, user); ok {
		return counts, nil
	}
	// One in the process looks; those who wait for it end with their own context.
	done := c.flight.DoChan(strconv.FormatInt(user, 10), func() (any, error) {
		return c.look(context.WithoutCancel(ctx), user)
	})
	select {
	case <-ctx.Done():
		return Counts{}, fmt.Errorf("counts of user %d: %w", user, context.Cause(ctx))
	case r := <-done:
		if r.Err != nil {
			return Counts{}, r.Err
		}
		return r.Val.(Counts), nil
	}
}

// cached reads the hash. Whatever is wrong with it is a miss.
func (c *Counters) cached(ctx context.Context, user int64) (counts Counts, ok bool) {
	err := c.store.Read(ctx, func(ctx context.Context, rdb redis.UniversalClient) error {
		values, err := rdb.HMGet(ctx, CountsKey(user), kindNames...).Result()
		counts, ok = readCounts(values)
		return err
	})
	return counts, ok && err == nil
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

// look reads the counts anew and caches them, unless they change meanwhile. While another process does so it waits a
// little, and then does it too.
func (c *Counters) look(ctx context.Context, user int64) (Counts, error) {
	token := rand.Text()
	keys := []string{CountsKey(user), leaseKey(user)}
	for begun := time.Now(); ; {
		var answer any
		err := c.store.Read(ctx, func(ctx context.Context, _ redis.UniversalClient) (err error) {
			args := []any{token, leaseLife.Milliseconds(), kindNames[0], kindNames[1], kindNames[2]}
			answer, err = lookScript.Run(ctx, c.ledger.rdb, keys, args...).Result()
			return err
		})
		if values, found := answer.([]any); found {
			if counts, ok := readCounts(values); ok {
				return counts, nil
			}
			err = errors.Join(err, c.void(ctx, map[int64]bool{user: true})) // it is nothing of ours; the next look fills it
		}
		if err != nil || answer == "mine" || time.Since(begun) > leaseWait {
			break
		}
		time.Sleep(leaseLook)
	}
	counts, err := c.compute(ctx, user)
	if err != nil {
		return Counts{}, err
	}
	c.fill(ctx, keys, token, counts)
	return counts, nil
}

// fill caches counts, if token still holds the lease. They need not be there.
func (c *Counters) fill(ctx context.Context, keys []string, token string, counts Counts) {
	args := []any{token, (countsExpiry + mathrand.N(countsJitter)).Milliseconds()}
	for i, k := range Kinds() {
		args = append(args, kindNames[i], *counts.of(k))
	}
	err := c.store.Read(ctx, func(ctx context.Context, _ redis.UniversalClient) error {
		return fillScript.Run(ctx, c.ledger.rdb, keys, args...).Err()
	})
	if err != nil {
		c.log.DebugContext(ctx, "counts are not cached", "error", err)
	}
}

// compute reads the counts from the sorted sets, and from the database what they do not tell.
func (c *Counters) compute(ctx context.Context, user int64) (counts Counts, err error) {
	var unknown []Kind
	for _, k := range Kinds() {
		n, ok := c.score(ctx, k, user)
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
			n, err := c.source.one(ctx, k, user)
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
func (c *Counters) score(ctx context.Context, k Kind, user int64) (n int64, ok bool) {
	var text string
	err := c.store.Read(ctx, func(ctx context.Context, rdb redis.UniversalClient) (err error) {
		text, err = countScript.Run(ctx, rdb, keys(k), user).Text()
		return err
	})
	switch {
	case text == "suspect":
		c.ask(ctx, Args{Suspects: true})
		return 0, false
	case text == "unbuilt", redis.HasErrorPrefix(err, "WRONGTYPE"):
		c.ask(ctx, Args{})
		return 0, false
	case err != nil: // Redis is away
		return 0, false
	}
	score, err := strconv.ParseFloat(text, 64)
	return int64(score), err == nil
}

// void drops what is cached of users' counts, and keeps those who are computing it from caching it.
func (c *Counters) void(ctx context.Context, users map[int64]bool) error {
	if len(users) == 0 {
		return nil
	}
	pipe := c.ledger.rdb.Pipeline()
	for user := range users {
		c.flight.Forget(strconv.FormatInt(user, 10))
		pipe.Del(ctx, CountsKey(user), leaseKey(user))
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return fmt.Errorf("drop cached counts: %w", err)
	}
	return nil
}
