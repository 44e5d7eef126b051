package broker

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	quickTurnaround  = 5 * time.Millisecond
	turnaroundWeight = 16 // tasks that the moving average remembers, about
)

// delivery is a task in the hands of this worker.
type delivery struct {
	token string // which Redis holds as the task's owner, until another delivery
	begun time.Time

	mu     sync.Mutex
	result []byte
	alive  time.Time // when asynq last extended its lease
}

// kept is the result that the handler has given, nil without one.
func (d *delivery) kept() []byte {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.result
}

// deliveries are those of one fetcher that are not acknowledged yet, by the task's key.
type deliveries struct {
	prefix string
	count  *atomic.Uint64

	mu         *sync.Mutex
	byKey      map[string]*delivery
	turnaround time.Duration // from delivery to acknowledgement, a moving average
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
	now := time.Now()
	d.byKey[t.key] = &delivery{token: t.token, begun: now, alive: now}
}

// get is nil for a task that is not in this worker's hands.
func (d *deliveries) get(key string) *delivery {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.byKey[key]
}

// len is how many slots are taken, or a few more: a lost lease counts until it is forgotten.
func (d *deliveries) len() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.byKey)
}

func (d *deliveries) has(t fetched) bool {
	found := d.get(t.key)
	return found != nil && found.token == t.token
}

func (d *deliveries) keep(key string, result []byte) bool {
	found := d.get(key)
	if found == nil {
		return false
	}
	found.mu.Lock()
	defer found.mu.Unlock()
	found.result = result
	return true
}

func (d *deliveries) drop(key string, gone *delivery) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.byKey[key] == gone {
		delete(d.byKey, key)
		d.turnaround += (time.Since(gone.begun) - d.turnaround) / turnaroundWeight
	}
}

// slow tells that a slot which is taken now is hardly free again when a fetch has come back, or that nothing is known.
func (d *deliveries) slow() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.turnaround == 0 || d.turnaround > quickTurnaround
}

// extend notes that asynq extends the leases of these tasks, and forgets those that it has given up: their leases ended
// without an acknowledgement.
func (d *deliveries) extend(prefix string, members []redis.Z) {
	now := time.Now()
	for _, z := range members {
		id, _ := z.Member.(string)
		if found := d.get(prefix + id); found != nil {
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

// noScript is the answer with which go-redis sends a script's text.
type noScript struct{}

func (noScript) Error() string { return "NOSCRIPT the fenced form of this script is not made yet" }
func (noScript) RedisError()   {}
