package fetch

import (
	"context"
	"slices"
	"time"

	"github.com/paidui/paidui/models/redisx"
	"github.com/paidui/paidui/tasks/broker/internal/format"
)

// putBatchesBack returns each batch to the head of its queue, before the later ones.
func (f *Fetcher) putBatchesBack(list []*batch) {
	for _, b := range slices.Backward(list) {
		f.putBack(b.tasks)
	}
}

// putBack returns tasks of one queue that were fetched ahead to its head, in their order. If Redis can't be reached they
// run when this life has ended.
func (f *Fetcher) putBack(tasks []fetched) {
	for some := range slices.Chunk(tasks, prefetchLimit) {
		r := returns{queue: some[0].queue}
		for _, t := range slices.Backward(some) {
			r.add(returned{id: t.id, token: t.token})
		}
		if _, err := f.giveBack(context.Background(), r); err != nil {
			f.prefetched.unreturned.Store(true)
			f.logger.Warn("tasks that were fetched ahead are not put back; they run when the life of this worker has ended",
				"queue", r.queue, "tasks", len(some), "first_task_id", some[0].id, "error", err)
		}
	}
}

// returns are active tasks of one queue that are to wait again, the first to run last.
type returns struct {
	queue string
	tasks []returned
	ended bool // only those whose lease has ended
	died  bool // their worker died: it is counted
}

type returned struct {
	id, token string
	record    []byte        // of the attempt that ends so; nil without
	delay     time.Duration // whole seconds; 0 is at the head of the queue
}

func (r *returns) add(t returned) { r.tasks = append(r.tasks, t) }

// giveBack has tasks wait again that are still their owners', and returns how many these are.
func (f *Fetcher) giveBack(ctx context.Context, r returns) (n int, err error) {
	if len(r.tasks) == 0 {
		return 0, nil
	}
	q := r.queue
	keys := make([]string, 0, 7+len(r.tasks))
	args := make([]any, 0, 4+4*len(r.tasks))
	keys = append(keys, format.ActiveKey(q), format.LeaseKey(q), format.PendingKey(q), format.WakeKey(q), format.HighKey(q), format.LowKey(q), format.RetryKey(q))
	args = append(args, time.Now().UnixNano(), f.b.WakeUps(), format.Flag(r.ended), format.Flag(r.died))
	for _, t := range r.tasks {
		keys = append(keys, format.TaskKey(q, t.id))
		args = append(args, t.id, t.token, t.record, int64(t.delay.Seconds()))
	}
	return giveBackScript.Run(ctx, f.b.Redis(), keys, args...).Int()
}

// giveBackScript KEYS: active, lease, pending, wake, high, low, retry, then the tasks, the first to run last. ARGV: now (ns),
// 1 to ring, 1 for tasks whose lease has ended only, 1 to count that the worker died; then for each task its id, its token,
// the record of the attempt and the delay (s). It returns how many of them were still their owners'. What a worker has
// fetched ahead is near the beginning of the active list, what one has left that died near its end.
var giveBackScript = redisx.NewScript(format.LuaClock + format.LuaRing + format.LuaEvents + format.LuaAttempt + `
local n, ready, events, second = 0, false, {}, math.floor(now / 1000)
for k = 8, #KEYS do
	local task, a = KEYS[k], 4 * k - 27
	local id, delay = ARGV[a], tonumber(ARGV[a + 3])
	local held = redis.call('HMGET', task, 'owner', 'state', 'prio', 'watch')
	local back = (held[1] or '') == ARGV[a + 1] and held[2] == 'active'
	if back and ARGV[3] == '1' then
		local lease = redis.call('ZSCORE', KEYS[2], id)
		back = lease and tonumber(lease) < second
	end
	if back then
		redis.call('LREM', KEYS[1], ARGV[4] == '1' and -1 or 1, id)
		redis.call('ZREM', KEYS[2], id)
		if ARGV[4] == '1' then redis.call('HINCRBY', task, 'crashes', 1) end
		attempt(task, ARGV[a + 2])
		if delay > 0 then
			redis.call('ZADD', KEYS[7], second + delay, id)
			redis.call('HSET', task, 'state', 'retry')
		else
			redis.call('RPUSH', held[3] == 'high' and KEYS[5] or held[3] == 'low' and KEYS[6] or KEYS[3], id)
			redis.call('HSET', task, 'state', 'pending', 'pending_since', ARGV[1])
			ready = true
		end
		if held[4] then events[#events + 1] = '+' .. id end
		n = n + 1
	end
end
if ready and ARGV[2] == '1' then ring(KEYS[4]) end
publish(events)
return n
`)
