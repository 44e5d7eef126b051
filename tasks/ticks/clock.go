package ticks

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
)

// Tolerance is how far a scheduler's clock may be ahead of Redis's. A tick that is further ahead is refused: settled, it
// would settle for all schedulers those that come before it.
const Tolerance = 3 * time.Second

// Scripts that read or write ticks open like this. A settled tick or a claim in the future was written while a clock was
// wrong, and is taken back to Redis's clock. The claim's tick gets the same id when it is claimed again.
var scriptHead = fmt.Sprintf(`
local clock = tonumber(redis.call('TIME')[1])
local horizon = clock + %d
local function heal(key)
  local state = redis.call('HMGET', key, 'settled', 'claim')
  if state[1] and tonumber(state[1]) > horizon then redis.call('HSET', key, 'settled', clock) end
  if state[2] and tonumber(state[2]) > horizon then
    redis.call('HDEL', key, 'claim', 'claim_id', 'claim_queue', 'claim_at')
  end
end
`, Tolerance/time.Second)

var clockScript = redis.NewScript(`return redis.call('TIME')`)

// Clock is the time by the clock that Begin and Pass go by, in microseconds: in a cluster, that of the node that keeps
// the schedules.
func (s *Store) Clock(ctx context.Context) (time.Time, error) {
	reply, err := clockScript.Run(ctx, s.rdb, []string{keyCurrent}).Slice()
	if err != nil {
		return time.Time{}, fmt.Errorf("read Redis's clock: %w", err)
	}
	seconds, err := strconv.ParseInt(text(reply, 0), 10, 64)
	if err != nil {
		return time.Time{}, fmt.Errorf("read Redis's clock: %w", err)
	}
	micros, err := strconv.ParseInt(text(reply, 1), 10, 64)
	if err != nil {
		return time.Time{}, fmt.Errorf("read Redis's clock: %w", err)
	}
	return time.Unix(seconds, micros*1000).UTC(), nil
}
