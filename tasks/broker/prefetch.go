package broker

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	// leaseTime is asynq's: how long a task is this worker's without a sign of life.
	leaseTime = 30 * time.Second
	// prefetchLimit bounds the tasks of one fetch, so that one worker does not take a burst from many idle ones.
	prefetchLimit = 64
	// staleAfter is when a task that was fetched ahead is no longer begun: only a process that stood still gets there,
	// and by then another may have the task.
	staleAfter = 10 * time.Second
	// The pauses after a fetch that failed; asynq itself would try again at once.
	firstFetchPause = 50 * time.Millisecond
	maxFetchPause   = time.Second
)

// prefetched are tasks that are active in Redis and wait here for asynq to ask for them, which it does at once: there
// are never more than free slots.
type prefetched struct {
	mu     sync.Mutex
	queue  string // of all of them
	tasks  []fetched
	at     time.Time
	closed bool
	pause  time.Duration
}

type fetched struct {
	queue, key, id, message, token string
}

func (p *prefetched) put(queue string, tasks []fetched) (closed bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.closed {
		p.queue, p.tasks, p.at = queue, tasks, time.Now()
	}
	return p.closed
}

func (p *prefetched) empty() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.tasks) == 0
}

func (p *prefetched) has(t fetched) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.ContainsFunc(p.tasks, func(have fetched) bool { return have.key == t.key && have.token == t.token })
}

// take gives the next task if it is the queue's.
func (p *prefetched) take(queue string) (t fetched, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.tasks) == 0 || p.queue != queue {
		return fetched{}, false
	}
	if time.Since(p.at) > staleAfter {
		p.tasks = nil // their leases run out, and they are run again
		return fetched{}, false
	}
	t, p.tasks = p.tasks[0], p.tasks[1:]
	return t, true
}

func (p *prefetched) close() []fetched {
	p.mu.Lock()
	defer p.mu.Unlock()
	rest := p.tasks
	p.tasks, p.closed = nil, true
	return rest
}

// dequeue answers asynq, which asks for each of its queues in turn, from one goroutine. It waits while all are empty.
func (f *Fetcher) dequeue(ctx context.Context, queue string) *redis.Cmd {
	for f.prefetched.empty() {
		if f.stopped() {
			return nothing(ctx)
		}
		got, err := f.fetch(ctx)
		if err == nil {
			err = f.reclaim(ctx)
		}
		if err != nil {
			f.rest()
			return failed(ctx, err)
		}
		f.prefetched.pause = 0
		f.lastFetch.Store(time.Now().UnixNano())
		if got == 0 {
			f.sleeper.sleep()
		}
	}
	t, ok := f.prefetched.take(queue)
	if !ok {
		return nothing(ctx)
	}
	f.deliveries.add(t)
	cmd := redis.NewCmd(ctx)
	cmd.SetVal(t.message)
	return cmd
}

// rest pauses after a failed fetch, longer each time.
func (f *Fetcher) rest() {
	f.prefetched.pause = min(max(2*f.prefetched.pause, firstFetchPause), maxFetchPause)
	timer := time.NewTimer(f.prefetched.pause)
	defer timer.Stop()
	select {
	case <-f.closed:
	case <-timer.C:
	}
}

// fetch gets tasks from the first queue, in a random order by weight, that has any. Within one server that is a single
// call; on a Redis Cluster it is one a queue.
func (f *Fetcher) fetch(ctx context.Context) (int, error) {
	limit := 1 // asynq asks when it has a free slot
	if !f.b.opt.NoPipelining {
		limit = min(max(f.cfg.Slots-f.deliveries.len(), 1), prefetchLimit)
	}
	order := f.order()
	step := len(order)
	if f.b.cluster {
		step = 1
	}
	for some := range slices.Chunk(order, step) {
		got, err := f.fetchFrom(ctx, some, limit)
		if got > 0 || err != nil {
			return got, err
		}
	}
	return 0, nil
}

func (f *Fetcher) fetchFrom(ctx context.Context, queues []string, limit int) (int, error) {
	token := f.deliveries.token()
	keys := make([]string, 0, 5*len(queues))
	args := make([]any, 0, 4+len(queues))
	args = append(args, time.Now().Add(leaseTime).Unix(), limit, token, f.b.wakeUps())
	for _, q := range queues {
		keys = append(keys, pendingKey(q), pausedKey(q), activeKey(q), leaseKey(q), wakeKey(q))
		args = append(args, taskKeyPrefix(q))
	}
	reply, err := fetchScript.Run(ctx, f.b.rdb, keys, args...).Slice()
	if err == redis.Nil {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	at, ok := reply[0].(int64)
	if !ok || at < 1 || int(at) > len(queues) || len(reply)%2 == 0 {
		return 0, fmt.Errorf("unexpected reply of the fetch script: %v", reply)
	}
	queue := queues[at-1]
	prefix := taskKeyPrefix(queue)
	tasks := make([]fetched, 0, len(reply)/2)
	for i := 1; i < len(reply); i += 2 {
		id, _ := reply[i].(string)
		message, _ := reply[i+1].(string)
		tasks = append(tasks, fetched{queue: queue, key: prefix + id, id: id, message: message, token: token})
	}
	if f.prefetched.put(queue, tasks) {
		f.putBack(tasks)
	}
	return len(tasks), nil
}

// order draws the queues by weight without replacement (Efraimidis and Spirakis, 2006).
func (f *Fetcher) order() []string {
	if len(f.queues) == 1 {
		return f.queues
	}
	type drawn struct {
		queue string
		at    float64
	}
	draws := make([]drawn, len(f.queues))
	for i, q := range f.queues {
		draws[i] = drawn{q, rand.ExpFloat64() / float64(max(f.cfg.Queues[q], 1))}
	}
	slices.SortFunc(draws, func(a, b drawn) int { return cmp.Compare(a.at, b.at) })
	order := make([]string, len(draws))
	for i, d := range draws {
		order[i] = d.queue
	}
	return order
}

// fetchScript KEYS, for each queue: pending, paused, active, lease, wake. ARGV: end of the lease (s), limit, token, 1 to
// ring; then for each queue the prefix of its tasks' keys. It does what asynq's dequeue does, for many, and marks who has
// the tasks. It returns nil, or the number of the queue and each task's id and message; if more wait, it wakes a worker.
var fetchScript = redis.NewScript(luaRing + `
local pending = {}
for k = 1, #KEYS, 5 do pending[#pending + 1] = KEYS[k] end
if redis.call('EXISTS', unpack(pending)) == 0 then return nil end
for q = 1, #KEYS / 5 do
	local k = 5 * (q - 1)
	local ids = redis.call('EXISTS', KEYS[k + 2]) == 0 and redis.call('RPOP', KEYS[k + 1], ARGV[2])
	while ids and #ids > 0 do
		local out, active, leases = {q}, {}, {}
		for i = 1, #ids do
			local id = ids[i]
			local key = ARGV[4 + q] .. id
			local msg = redis.call('HGET', key, 'msg')
			if msg then
				redis.call('HSET', key, 'state', 'active', 'owner', ARGV[3])
				active[#active + 1] = id
				leases[#leases + 1] = ARGV[1]
				leases[#leases + 1] = id
				out[#out + 1] = id
				out[#out + 1] = msg
			end
		end
		if #active > 0 then
			redis.call('LPUSH', KEYS[k + 3], unpack(active))
			redis.call('ZADD', KEYS[k + 4], unpack(leases))
			if ARGV[4] == '1' and #ids == tonumber(ARGV[2]) and redis.call('EXISTS', KEYS[k + 1]) == 1 then
				ring(KEYS[k + 5])
			end
			return out
		end
		ids = redis.call('RPOP', KEYS[k + 1], ARGV[2]) -- the tasks of all of these are gone
	end
end
return nil
`)

// putBack returns tasks of one queue that were fetched ahead to its head, in their order. If Redis can't be reached their
// leases run out, and they are run again.
func (f *Fetcher) putBack(tasks []fetched) {
	for some := range slices.Chunk(tasks, prefetchLimit) {
		queue := some[0].queue
		keys := make([]string, 0, 4+len(some))
		args := make([]any, 0, 2+2*len(some))
		keys = append(keys, activeKey(queue), leaseKey(queue), pendingKey(queue), wakeKey(queue))
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

// putBackScript KEYS: active, lease, pending, wake, then the tasks, the first to run last. ARGV: now (ns), 1 to ring;
// then for each task its id and token.
var putBackScript = redis.NewScript(luaRing + `
local n = 0
for k = 5, #KEYS do
	local a = 2 * k - 7
	local held = redis.call('HMGET', KEYS[k], 'owner', 'state')
	if held[1] == ARGV[a + 1] and held[2] == 'active' then
		redis.call('LREM', KEYS[1], 0, ARGV[a])
		redis.call('ZREM', KEYS[2], ARGV[a])
		redis.call('RPUSH', KEYS[3], ARGV[a])
		redis.call('HSET', KEYS[k], 'state', 'pending', 'pending_since', ARGV[1])
		n = n + 1
	end
end
if n > 0 and ARGV[2] == '1' then ring(KEYS[4]) end
return n
`)
