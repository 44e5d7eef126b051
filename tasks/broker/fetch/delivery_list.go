package fetch

import (
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/paidui/paidui/tasks/broker/internal/format"
)

// deliveries are those of one fetcher that are not acknowledged yet, by the task's key.
type deliveries struct {
	prefix string
	count  *atomic.Uint64

	freed chan struct{} // receives after a delivery has ended, if nothing is in it

	mu         *sync.Mutex
	byKey      map[string]*Delivery
	turnaround time.Duration // from delivery to acknowledgement, a moving average
}

func newDeliveries(worker string) deliveries {
	return deliveries{
		prefix: worker + "|" + strconv.FormatUint(rand.Uint64(), 36) + ".",
		count:  new(atomic.Uint64),
		freed:  make(chan struct{}, 1),
		mu:     new(sync.Mutex),
		byKey:  make(map[string]*Delivery),
	}
}

// token is one that no other delivery has.
func (d *deliveries) token() string { return d.prefix + strconv.FormatUint(d.count.Add(1), 36) }

// tell has who waits for a free slot look again.
func (d *deliveries) tell() {
	select {
	case d.freed <- struct{}{}:
	default:
	}
}

func (d *deliveries) add(f *Fetcher, t fetched) {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := time.Now()
	d.byKey[t.key] = &Delivery{f: f, fetched: t, begun: now, alive: now, revoked: t.revoked, isRevoked: t.isRevoked}
}

// get is nil for a task that is not in this worker's hands.
func (d *deliveries) get(key string) *Delivery {
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
	return found != nil && found.fetched.token == t.token
}

// runs tells whether a delivery of the task has not come to its end here.
func (d *deliveries) runs(key string) bool {
	found := d.get(key)
	return found != nil && !found.ending.Load()
}

func (d *deliveries) keep(key string, result []byte) bool {
	found := d.get(key)
	if found == nil {
		return false
	}
	found.Keep(result)
	return true
}

func (d *deliveries) drop(key string, gone *Delivery) {
	defer d.tell()
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

// extend notes that asynq extends the leases of these tasks.
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
}

// forsaken lists the deliveries that asynq has given up: it did not extend their leases in time, and acknowledges nothing
// after that.
func (d *deliveries) forsaken() []*Delivery {
	d.mu.Lock()
	defer d.mu.Unlock()
	var list []*Delivery
	now := time.Now()
	for _, one := range d.byKey {
		one.mu.Lock()
		if now.Sub(one.alive) > format.LeaseTime+forsakenMargin && !one.ending.Load() {
			list = append(list, one)
		}
		one.mu.Unlock()
	}
	return list
}
