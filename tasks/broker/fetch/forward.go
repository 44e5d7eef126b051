package fetch

import (
	"context"
	"sync"

	"github.com/redis/go-redis/v9"

	"github.com/paidui/paidui/models/redisx"
	"github.com/paidui/paidui/tasks/broker/internal/format"
)

// due are the delayed sets (scheduled and retry) of the queues that hold tasks which are due in the second.
type due struct {
	mu     sync.Mutex
	second int64
	sets   map[string]bool
}

// forward answers asynq, which asks for each delayed set in turn. In each second the first call asks for all of them at
// once, and only those with something due are forwarded.
func (f *Fetcher) forward(ctx context.Context, queue, delayed string, second int64, args []any) *redis.Cmd {
	f.due.mu.Lock()
	defer f.due.mu.Unlock()
	if second != f.due.second { // a clock may be set back
		sets, err := f.dueSets(ctx, second)
		if err != nil {
			return failed(ctx, err)
		}
		f.due.second, f.due.sets = second, sets
	}
	if !f.due.sets[delayed] {
		cmd := redis.NewCmd(ctx)
		cmd.SetVal(int64(0))
		return cmd
	}
	cmd := forwardScript.Run(ctx, f.b.Redis(), []string{delayed, format.PendingKey(queue), format.HighKey(queue), format.LowKey(queue)}, args...)
	moved, err := cmd.Int()
	if err != nil {
		return cmd
	}
	if moved > 0 {
		if err := f.b.Ring(ctx, queue); err != nil {
			f.logger.DebugContext(ctx, "no wake-up for due tasks; the fallback finds them", "queue", queue, "error", err)
		}
	}
	if moved < forwardBatch {
		delete(f.due.sets, delayed)
	}
	return cmd
}

// dueSets asks which delayed sets hold tasks that are due. On a Redis Cluster it does not know and names all.
func (f *Fetcher) dueSets(ctx context.Context, second int64) (map[string]bool, error) {
	keys := make([]string, 0, 2*len(f.queues))
	for _, q := range f.queues {
		keys = append(keys, format.ScheduledKey(q), format.RetryKey(q))
	}
	names := keys
	if !f.b.Clustered() {
		var err error
		if names, err = dueScript.Run(ctx, f.b.Redis(), keys, second).StringSlice(); err != nil {
			return nil, err
		}
	}
	sets := make(map[string]bool, len(names))
	for _, name := range names {
		sets[name] = true
	}
	return sets, nil
}

// dueScript KEYS: delayed sets. ARGV: now (s). It returns those with something due.
var dueScript = redisx.NewScript(`
local out = {}
if redis.call('EXISTS', unpack(KEYS)) == 0 then return out end
for _, key in ipairs(KEYS) do
	local first = redis.call('ZRANGE', key, 0, 0, 'WITHSCORES')
	if first[2] and tonumber(first[2]) <= tonumber(ARGV[1]) then out[#out + 1] = key end
end
return out
`)

// forwardScript KEYS: scheduled or retry, pending, high, low. ARGV: now (s), prefix of the tasks' keys, now (ns), prefix of
// the groups' keys. It does what asynq's forward does, and keeps priorities.
var forwardScript = redisx.NewScript(format.LuaEvents + `
local ids, events = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', ARGV[1], 'LIMIT', 0, 100), {}
for _, id in ipairs(ids) do
	local key = ARGV[2] .. id
	local has = redis.call('HMGET', key, 'group', 'prio', 'watch')
	redis.call('ZREM', KEYS[1], id)
	if has[1] and has[1] ~= '' then
		redis.call('ZADD', ARGV[4] .. has[1], ARGV[1], id)
		redis.call('HSET', key, 'state', 'aggregating')
	else
		redis.call('LPUSH', has[2] == 'high' and KEYS[3] or has[2] == 'low' and KEYS[4] or KEYS[2], id)
		redis.call('HSET', key, 'state', 'pending', 'pending_since', ARGV[3])
		if has[3] then events[#events + 1] = '+' .. id end
	end
end
publish(events)
return #ids
`)
