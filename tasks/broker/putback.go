package broker

import (
	"context"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"
)

// putBatchesBack returns each batch to the head of its queue, before the later ones.
func (f *Fetcher) putBatchesBack(list []*batch) {
	for _, b := range slices.Backward(list) {
		f.putBack(b.tasks)
	}
}

// putBack returns tasks of one queue that were fetched ahead to its head, in their order. If Redis can't be reached their
// leases run out, and they are run again.
func (f *Fetcher) putBack(tasks []fetched) {
	for some := range slices.Chunk(tasks, prefetchLimit) {
		queue := some[0].queue
		keys := make([]string, 0, 6+len(some))
		args := make([]any, 0, 2+2*len(some))
		keys = append(keys, activeKey(queue), leaseKey(queue), pendingKey(queue), wakeKey(queue), highKey(queue), lowKey(queue))
		args = append(args, time.Now().UnixNano(), f.b.wakeUps())
		for _, t := range slices.Backward(some) {
			keys = append(keys, t.key)
			args = append(args, t.id, t.token)
		}
		if err := putBackScript.Run(context.Background(), f.b.rdb, keys, args...).Err(); err != nil {
			f.b.logger.Warn("tasks that were fetched ahead are not put back; they run when their leases have ended",
				"queue", queue, "tasks", len(some), "first_task_id", some[0].id, "error", err)
		}
	}
}

// putBackScript KEYS: active, lease, pending, wake, high, low, then the tasks, the first to run last. ARGV: now (ns), 1 to
// ring; then for each task its id and token.
var putBackScript = redis.NewScript(luaRing + luaEvents + `
local n, events = 0, {}
for k = 7, #KEYS do
	local a = 2 * k - 10
	local held = redis.call('HMGET', KEYS[k], 'owner', 'state', 'prio', 'watch')
	if held[1] == ARGV[a] and held[2] == 'active' then
		local id = ARGV[a - 1]
		redis.call('LREM', KEYS[1], 0, id)
		redis.call('ZREM', KEYS[2], id)
		redis.call('RPUSH', held[3] == 'high' and KEYS[5] or held[3] == 'low' and KEYS[6] or KEYS[3], id)
		redis.call('HSET', KEYS[k], 'state', 'pending', 'pending_since', ARGV[1])
		if held[4] then events[#events + 1] = '+' .. id end
		n = n + 1
	end
end
if n > 0 and ARGV[2] == '1' then ring(KEYS[4]) end
publish(events)
return n
`)
