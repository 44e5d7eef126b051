package cache

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
)

// The race that every cache-aside has: a reader misses and loads the old row, a writer commits and deletes the key,
// and then the reader's fill puts the old value back. Here each load is stamped with Redis's clock before it reads
// the database, each Delete leaves its own time as the key's stamp, and a fill is accepted only when its load began
// after the stamp. An accepted fill leaves its beginning as the stamp, so that of two refreshes the later read wins.
//
// A stamp outlives the longest load, and a fill older than that is refused outright.
const (
	maxLoad     = time.Minute
	stampExpiry = 10 * time.Minute
)

// stampKey shares key's cluster slot. key must have no hash tag of its own.
func stampKey(key string) string { return "paidui:cache:{" + key + "}:stamp" }

const clockLua = `
local t = redis.call('TIME')
local now = tonumber(t[1]) * 1000000 + tonumber(t[2])
`

var (
	// lookScript answers {value or false, now}: the value, and the time at which a load may begin.
	lookScript = redis.NewScript(clockLua + `
return {redis.call('GET', KEYS[1]), string.format('%.0f', now)}
`)

	// voidScript deletes the value and leaves now as the stamp. ARGV: stamp expiry in ms.
	voidScript = redis.NewScript(clockLua + `
redis.call('DEL', KEYS[1])
redis.call('SET', KEYS[2], string.format('%.0f', now), 'PX', ARGV[1])
return 1
`)

	// fillScript stores the value unless the load is too old. ARGV: value, beginning in us, expiry in ms, longest load
	// in us, stamp expiry in ms. Answers 1 when stored, else 0.
	fillScript = redis.NewScript(clockLua + `
local began = tonumber(ARGV[2])
if now - began > tonumber(ARGV[4]) then return 0 end
if began <= tonumber(redis.call('GET', KEYS[2]) or '0') then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[3])
redis.call('SET', KEYS[2], ARGV[2], 'PX', ARGV[5])
return 1
`)
)

// look reads key together with Redis's clock in microseconds.
func (c *Cache[T]) look(ctx context.Context, key string) (raw string, found bool, now int64, err error) {
	ctx, cancel := context.WithTimeout(ctx, redisTimeout)
	defer cancel()
	reply, err := lookScript.Run(ctx, c.rdb, []string{key}).Slice()
	if err != nil {
		return "", false, 0, err
	}
	if len(reply) != 2 {
		return "", false, 0, fmt.Errorf("reading %s: %d values instead of 2", key, len(reply))
	}
	raw, found = reply[0].(string)
	at, _ := reply[1].(string)
	if now, err = strconv.ParseInt(at, 10, 64); err != nil {
		return "", false, 0, fmt.Errorf("reading Redis's clock: %w", err)
	}
	return raw, found, now, nil
}

func (c *Cache[T]) now(ctx context.Context, key string) (int64, error) {
	_, _, now, err := c.look(ctx, key)
	return now, err
}
