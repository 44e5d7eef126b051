package broker

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	ackBatch = 128
	ackLanes = 2
	// The pauses between tries to acknowledge while Redis does not answer. asynq ends them with the lease; once the
	// fetcher has stopped they end after lastAckTries.
	firstAckPause = 50 * time.Millisecond
	maxAckPause   = time.Second
	lastAckTries  = 5 * time.Second
)

// delivery is a task in the hands of this worker.
type delivery struct {
	token string // which Redis holds as the task's owner, until another delivery

	mu     sync.Mutex
	result []byte
	alive  time.Time // when asynq last extended its lease
}

// deliveries are those of one fetcher that are not acknowledged yet, by the task's key.
type deliveries struct {
	prefix string
	count  *atomic.Uint64

	mu    *sync.Mutex
	byKey map[string]*delivery
}

func newDeliveries() deliveries {
	return deliveries{
		prefix: strconv.FormatUint(rand.Uint64(), 36) + ".",
		count:  new(atomic.Uint64),
		mu:     new(sync.Mutex),
		byKey:  make(map[string]*delivery),
	}
}

// token is one that no other delivery has.
func (d *deliveries) token() string { return d.prefix + strconv.FormatUint(d.count.Add(1), 36) }

func (d *deliveries) add(t fetched) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.byKey[t.key] = &delivery{token: t.token, alive: time.Now()}
}

func (d *deliveries) get(key string) (*delivery, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	found, ok := d.byKey[key]
	return found, ok
}

func (d *deliveries) has(t fetched) bool {
	found, ok := d.get(t.key)
	return ok && found.token == t.token
}

func (d *deliveries) keep(key string, result []byte) bool {
	found, ok := d.get(key)
	if ok {
		found.mu.Lock()
		found.result = result
		found.mu.Unlock()
	}
	return ok
}

func (d *deliveries) drop(key string, gone *delivery) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.byKey[key] == gone {
		delete(d.byKey, key)
	}
}

// extend notes that asynq extends the leases of these tasks, and forgets those that it has given up: their leases ended
// without an acknowledgement.
func (d *deliveries) extend(prefix string, members []redis.Z) {
	now := time.Now()
	for _, z := range members {
		id, _ := z.Member.(string)
		if found, ok := d.get(prefix + id); ok {
			found.mu.Lock()
			found.alive = now
			found.mu.Unlock()
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for key, one := range d.byKey {
		one.mu.Lock()
		if now.Sub(one.alive) > 2*leaseTime {
			delete(d.byKey, key)
		}
		one.mu.Unlock()
	}
}

// acknowledgement is the end of a delivery on its way.
type acknowledgement struct {
	call   *call
	ticket *ticket
}

// acknowledge runs a fenced script, together with others. Its caller runs a task, so nothing waits for it but a slot;
// while Redis does not answer it tries again, as the task would otherwise run a second time.
func (f *Fetcher) acknowledge(ctx context.Context, d *delivery, c *call) *redis.Cmd {
	task, _ := acknowledges(c.keys)
	d.mu.Lock()
	c.args = append(append(make([]any, 0, len(c.args)+2), c.args...), d.token, d.result)
	d.mu.Unlock()
	var end time.Time
	for pause := firstAckPause; ; pause = min(2*pause, maxAckPause) {
		again := !end.IsZero()
		a := &acknowledgement{call: &call{script: c.script, keys: c.keys, args: c.args}, ticket: newTicket(1)}
		f.acks.add(a)
		if err := a.ticket.wait(ctx); err != nil { // the lease has ended
			f.deliveries.drop(c.keys[task], d)
			cmd := redis.NewCmd(ctx)
			cmd.SetErr(err)
			return cmd
		}
		cmd := a.call.cmd
		err := cmd.Err()
		if err == nil || redis.HasErrorPrefix(err, "NOT FOUND") || redis.HasErrorPrefix(err, "INTERNAL") {
			f.deliveries.drop(c.keys[task], d)
			if err == nil && cmd.Val() == fencedReply && !again {
				f.b.logger.WarnContext(ctx, "late acknowledgement without effect: another delivery has the task", "task", c.keys[task])
			}
			return cmd
		}
		if end.IsZero() {
			end = time.Now().Add(leaseTime)
		}
		if f.stopped() {
			end = minTime(end, time.Now().Add(lastAckTries))
		}
		if time.Now().After(end) {
			return cmd
		}
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			timer.Stop()
			return cmd
		case <-timer.C:
		}
	}
}

func minTime(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

func (f *Fetcher) flushAcks(batch []*acknowledgement) {
	calls := make([]*call, 0, len(batch))
	for _, a := range batch {
		calls = append(calls, a.call)
	}
	run(context.Background(), f.b.rdb, calls)
	for _, a := range batch {
		a.ticket.done()
	}
}

const fencedReply = "FENCED"

// luaFence goes before a script that ends a delivery: it holds the task's owner against the last but one argument, and
// writes the last, if it is not empty, as the result. A task that is no longer active has been acknowledged before.
const luaFence = `
local held = redis.call('HMGET', KEYS[%[1]d], 'owner', 'state')
if held[1] ~= ARGV[#ARGV - 1] or held[2] ~= 'active' then return redis.status_reply('%[2]s') end
if ARGV[#ARGV] ~= '' then redis.call('HSET', KEYS[%[1]d], 'result', ARGV[#ARGV]) end
`

// fences keeps asynq's scripts with a fence, by the hash of the original.
type fences struct{ scripts sync.Map }

func (f *fences) of(sha string) (*redis.Script, bool) {
	s, ok := f.scripts.Load(sha)
	if !ok {
		return nil, false
	}
	return s.(*redis.Script), true
}

// make fences a script whose task is the key with the given index.
func (f *fences) make(script string, task int) *redis.Script {
	fenced := redis.NewScript(fmt.Sprintf(luaFence, task+1, fencedReply) + script)
	f.scripts.Store(redis.NewScript(script).Hash(), fenced)
	return fenced
}

// unknownScript is the answer with which go-redis sends a script's text.
func unknownScript(ctx context.Context) *redis.Cmd {
	cmd := redis.NewCmd(ctx)
	cmd.SetErr(noScript{})
	return cmd
}

type noScript struct{}

func (noScript) Error() string { return "NOSCRIPT the fenced form of this script is not made yet" }
func (noScript) RedisError()   {}
