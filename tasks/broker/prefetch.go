package broker

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
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
	// callLimit is how long one dequeue waits. asynq counts a task's lease from the beginning of the call that brings it, so
	// that after a longer one there would be none left.
	callLimit = 5 * time.Second
	// aheadPatience is how long tasks that were fetched ahead of a free slot wait for one.
	aheadPatience = 100 * time.Millisecond
	// The pauses after a fetch that failed; asynq itself would try again at once.
	firstFetchPause = 50 * time.Millisecond
	maxFetchPause   = time.Second
)

// prefetched are tasks that are active in Redis and wait here for asynq to ask for them.
type prefetched struct {
	mu      sync.Mutex
	batches []*batch // the first is next
	closed  bool
	fetches sync.WaitGroup // ahead; begins under mu before closed

	// Of the goroutine that dequeues:
	pause time.Duration
	more  bool          // the last fetch left something in the queue
	ahead chan struct{} // closed at the end of the fetch ahead that is under way; nil without one
}

// batch is what one fetch brought: tasks of one queue.
type batch struct {
	queue string
	tasks []fetched
	at    time.Time
	full  bool // as large as it could be: there may be more
}

type fetched struct {
	queue, key, id, message, token string

	began     int64  // Unix milliseconds
	crashes   int    // earlier deliveries that ended with the death of their worker
	isRevoked bool   // it is to end without running
	revoked   string // why
}

func (p *prefetched) put(b *batch) (closed bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.closed {
		p.batches = append(p.batches, b)
	}
	return p.closed
}

func (p *prefetched) len() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := 0
	for _, b := range p.batches {
		n += len(b.tasks)
	}
	return n
}

func (p *prefetched) has(t fetched) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.ContainsFunc(p.batches, func(b *batch) bool {
		return slices.ContainsFunc(b.tasks, func(have fetched) bool { return have.key == t.key && have.token == t.token })
	})
}

// take gives the next task if it is the queue's.
func (p *prefetched) take(queue string) (t fetched, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.batches) == 0 || p.batches[0].queue != queue {
		return fetched{}, false
	}
	b := p.batches[0]
	if time.Since(b.at) > staleAfter {
		p.batches = p.batches[1:] // their leases run out, and they are run again
		return fetched{}, false
	}
	t, b.tasks = b.tasks[0], b.tasks[1:]
	if len(b.tasks) == 0 {
		p.batches = p.batches[1:]
	}
	return t, true
}

// remove gives what is left of a batch.
func (p *prefetched) remove(b *batch) []fetched {
	p.mu.Lock()
	defer p.mu.Unlock()
	at := slices.Index(p.batches, b)
	if at < 0 {
		return nil
	}
	p.batches = slices.Delete(slices.Clone(p.batches), at, at+1)
	return b.tasks
}

func (p *prefetched) close() []*batch {
	p.mu.Lock()
	defer p.mu.Unlock()
	rest := p.batches
	p.batches, p.closed = nil, true
	return rest
}

// dequeue answers asynq, which asks for each of its queues in turn, from one goroutine. It waits while all are empty, but
// no longer than callLimit; what comes later is for the next call.
func (f *Fetcher) dequeue(ctx context.Context, queue string) *redis.Cmd {
	f.start()
	begun := time.Now()
	for f.prefetched.len() == 0 {
		if f.stopped() || time.Since(begun) > callLimit {
			return nothing(ctx)
		}
		if f.prefetched.ahead != nil {
			<-f.prefetched.ahead
			f.prefetched.ahead = nil
			continue
		}
		got, err := f.fetchNow(ctx)
		if err == nil {
			err = f.reclaim(ctx)
		}
		if err != nil {
			f.rest()
			return failed(ctx, err)
		}
		f.prefetched.pause = 0
		if !got {
			f.sleeper.sleep()
		}
	}
	if time.Since(begun) > callLimit {
		return nothing(ctx)
	}
	t, ok := f.prefetched.take(queue)
	if !ok {
		return nothing(ctx)
	}
	f.deliveries.add(f, t)
	f.fetchAhead(ctx)
	cmd := redis.NewCmd(ctx)
	cmd.SetVal(t.message)
	return cmd
}

// fetchNow gets as many tasks as there are free slots.
func (f *Fetcher) fetchNow(ctx context.Context) (got bool, err error) {
	limit := 1 // asynq asks when it has a free slot
	if !f.b.opt.NoPipelining {
		limit = min(max(f.cfg.Slots-f.deliveries.len(), 1), prefetchLimit)
	}
	b, err := f.fetch(ctx, limit)
	if b == nil || err != nil {
		return false, err
	}
	f.prefetched.more = b.full
	return true, nil
}

// fetchAhead gets the next tasks while slots are busy still, if tasks are so quick that a slot is free before the
// tasks are here. Those that no slot wants soon, since a slow task came in between, are put back for other workers.
func (f *Fetcher) fetchAhead(ctx context.Context) {
	p := &f.prefetched
	if p.ahead != nil {
		select {
		case <-p.ahead:
			p.ahead = nil
		default:
			return
		}
	}
	limit := min(f.cfg.Slots, prefetchLimit)
	if !p.more || f.b.opt.NoPipelining || p.len() > limit/2 || f.deliveries.slow() || f.reclaimed != f.b.connects.Load() {
		return
	}
	p.more = false
	arrived := make(chan struct{})
	begun := p.begin(func() {
		defer close(arrived)
		b, err := f.fetch(ctx, limit)
		if b == nil || err != nil {
			return // the next fetch says why
		}
		p.more = b.full
		time.AfterFunc(aheadPatience, func() { f.putBack(p.remove(b)) })
	})
	if begun {
		p.ahead = arrived
	}
}

// begin runs a fetch in the background, unless the fetcher has stopped.
func (p *prefetched) begin(fetch func()) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.closed {
		p.fetches.Go(fetch)
	}
	return !p.closed
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
// call; on a Redis Cluster it is one a queue. It returns nil if there are none.
func (f *Fetcher) fetch(ctx context.Context, limit int) (*batch, error) {
	order := f.order()
	step := len(order)
	if f.b.cluster {
		step = 1
	}
	for some := range slices.Chunk(order, step) {
		b, err := f.fetchFrom(ctx, some, limit)
		if b != nil || err != nil {
			return b, err
		}
	}
	f.lastFetch.Store(time.Now().UnixNano())
	return nil, nil
}

func (f *Fetcher) fetchFrom(ctx context.Context, queues []string, limit int) (*batch, error) {
	token, now := f.deliveries.token(), time.Now()
	normal, low := f.turns.next(limit)
	keys := make([]string, 0, 7*len(queues))
	args := make([]any, 0, 7+len(queues))
	args = append(args, now.Add(leaseTime).Unix(), limit, token, f.b.wakeUps(), now.UnixMilli(), normal, low)
	for _, q := range queues {
		keys = append(keys, pendingKey(q), pausedKey(q), activeKey(q), leaseKey(q), wakeKey(q), highKey(q), lowKey(q))
		args = append(args, taskKeyPrefix(q))
	}
	reply, err := fetchScript.Run(ctx, f.b.rdb, keys, args...).Slice()
	if err == redis.Nil {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	at, ok := reply[0].(int64)
	if !ok || at < 1 || int(at) > len(queues) || len(reply)%3 != 1 {
		return nil, fmt.Errorf("unexpected reply of the fetch script: %v", reply)
	}
	queue := queues[at-1]
	prefix := taskKeyPrefix(queue)
	tasks := make([]fetched, 0, len(reply)/3)
	for i := 1; i < len(reply); i += 3 {
		id, _ := reply[i].(string)
		message, _ := reply[i+1].(string)
		note, _ := reply[i+2].(string)
		t := fetched{queue: queue, key: prefix + id, id: id, message: message, token: token, began: now.UnixMilli()}
		t.read(note)
		tasks = append(tasks, t)
	}
	f.turns.count(len(tasks))
	f.lastFetch.Store(time.Now().UnixNano())
	b := &batch{queue: queue, tasks: tasks, at: time.Now(), full: len(tasks) == limit}
	if f.prefetched.put(b) {
		f.putBack(tasks)
	}
	return b, nil
}

// read takes over what the fetch script notes about an unusual task: the number of its crashes and, if it is revoked, a
// space and the reason.
func (t *fetched) read(note string) {
	if note == "" {
		return
	}
	crashes, reason, revoked := strings.Cut(note, " ")
	t.crashes, _ = strconv.Atoi(crashes) // the script wrote it
	t.revoked, t.isRevoked = reason, revoked
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

// fetchScript KEYS, for each queue: pending, paused, active, lease, wake, high, low. ARGV: end of the lease (s), limit,
// token, 1 to ring, now (ms), how many normal and low tasks have their turn before higher ones; then for each queue the
// prefix of its tasks' keys. It does what asynq's dequeue does, for many, but leaves pending_since, and marks who has the
// tasks. An id whose task is gone or not pending any more is dropped. It returns nil, or the number of the queue and each
// task's id, message and note (see read); if more wait, it wakes a worker.
var fetchScript = redis.NewScript(luaRing + luaEvents + `
local lists, limit = {}, tonumber(ARGV[2])
for k = 1, #KEYS, 7 do
	lists[#lists + 1] = KEYS[k]
	lists[#lists + 1] = KEYS[k + 5]
	lists[#lists + 1] = KEYS[k + 6]
end
if redis.call('EXISTS', unpack(lists)) == 0 then return nil end

local function take(ids, list, n)
	if n < 1 then return end
	for _, id in ipairs(redis.call('RPOP', list, n) or {}) do ids[#ids + 1] = id end
end

local function pop(pending, high, low)
	if redis.call('EXISTS', high, low) == 0 then return redis.call('RPOP', pending, limit) or {} end
	local ids, normals, lows = {}, tonumber(ARGV[6]), tonumber(ARGV[7])
	take(ids, high, limit - normals - lows)
	take(ids, pending, limit - lows - #ids)
	take(ids, low, limit - #ids)
	take(ids, high, limit - #ids)
	take(ids, pending, limit - #ids)
	return ids
end

for q = 1, #KEYS / 7 do
	local k = 7 * (q - 1)
	local pending, high, low = KEYS[k + 1], KEYS[k + 6], KEYS[k + 7]
	local ids = redis.call('EXISTS', KEYS[k + 2]) == 0 and pop(pending, high, low) or {}
	for _ = 1, 16 do
		if #ids == 0 then break end
		local out, active, leases, events = {q}, {}, {}, {}
		for i = 1, #ids do
			local id = ids[i]
			local key = ARGV[7 + q] .. id
			local has = redis.call('HMGET', key, 'msg', 'state', 'watch', 'progress', 'crashes', 'revoked')
			if has[1] and has[2] == 'pending' then
				redis.call('HSET', key, 'state', 'active', 'owner', ARGV[3], 'began', ARGV[5])
				if has[3] then events[#events + 1] = '+' .. id end
				if has[4] then redis.call('HDEL', key, 'progress') end
				active[#active + 1] = id
				leases[#leases + 1] = ARGV[1]
				leases[#leases + 1] = id
				local note = ''
				if has[5] or has[6] then note = (has[5] or '0') .. (has[6] and ' ' .. has[6] or '') end
				out[#out + 1] = id
				out[#out + 1] = has[1]
				out[#out + 1] = note
			end
		end
		if #active > 0 then
			redis.call('LPUSH', KEYS[k + 3], unpack(active))
			redis.call('ZADD', KEYS[k + 4], unpack(leases))
			if ARGV[4] == '1' and #ids == limit and redis.call('EXISTS', pending, high, low) > 0 then ring(KEYS[k + 5]) end
			publish(events)
			return out
		end
		ids = pop(pending, high, low) -- none of these is pending any more
	end
	if #ids > 0 then -- there may be many more such: another call goes on
		redis.call('RPUSH', pending, unpack(ids))
		if ARGV[4] == '1' then ring(KEYS[k + 5]) end
		return nil
	end
end
return nil
`)

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
