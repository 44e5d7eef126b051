package cache

import (
	"hash/maphash"
	"sync/atomic"
	"time"

	"github.com/maypok86/otter/v2"
)

// What a process keeps of Redis's values is made untrue by writes elsewhere, of which a message tells. A reader can meet
// such a message between its read of Redis and the moment at which it keeps what it read. So every key has a generation,
// which a message moves on: a reader notes it before it asks Redis, and what it keeps is fresh only while the generation
// is still the one it noted. Keys share generations by their hash, which costs a needless read of Redis now and then.

// generations tell what was read before an invalidation from what was read after it. They are safe for concurrent use.
type generations struct {
	seed maphash.Seed
	each [1 << 12]atomic.Uint64
}

func newGenerations() *generations { return &generations{seed: maphash.MakeSeed()} }

// mark is a generation as it was once.
type mark struct {
	generation *atomic.Uint64
	noted      uint64
}

// note is called before key is read.
func (g *generations) note(key string) mark {
	generation := g.of(key)
	return mark{generation, generation.Load()}
}

func (g *generations) of(key string) *atomic.Uint64 {
	return &g.each[maphash.String(g.seed, key)%uint64(len(g.each))]
}

// invalidate makes what was read of key before this call no longer fresh.
func (g *generations) invalidate(key string) { g.of(key).Add(1) }

// invalidateAll does so for all keys.
func (g *generations) invalidateAll() {
	for i := range g.each {
		g.each[i].Add(1)
	}
}

// current reports that no message came since.
func (m mark) current() bool { return m.generation != nil && m.generation.Load() == m.noted }

// reading is when a value was read from Redis or the database; it was true then.
type reading struct {
	mark mark
	at   time.Duration // since the store began
}

// near keeps values in the process: fresh ones for a short time, and the last known ones for the time in which nobody can
// be asked. It is safe for concurrent use. Its zero value keeps nothing.
type near[K ID, T any] struct {
	kept  *otter.Cache[K, *item[T]] // nil keeps nothing
	fresh time.Duration             // 0: a value is never fresh, but may be the last one known
	stale time.Duration             // beyond fresh
	began time.Time
}

// defaultLast is how many last known values are kept where there is no near cache.
const defaultLast = 1000

// newNear keeps so many values for the time fresh and, as last known ones, for the time stale beyond that. With size 0
// no value is fresh.
func newNear[K ID, T any](size int, fresh, stale time.Duration, began time.Time) near[K, T] {
	n := near[K, T]{fresh: fresh, stale: stale, began: began}
	if size <= 0 {
		n.fresh, size = 0, defaultLast
	}
	if n.fresh <= 0 && n.stale <= 0 {
		return n
	}
	// Values expire by their own time: the cache's clock would take a goroutine, and drop what is yet to be the last known.
	n.kept = otter.Must(&otter.Options[K, *item[T]]{MaximumSize: size})
	return n
}

// get returns the value of id if it is fresh.
func (n *near[K, T]) get(id K) (*item[T], bool) {
	if n.fresh <= 0 {
		return nil, false
	}
	k, ok := n.kept.GetIfPresent(id)
	if !ok || !k.read.mark.current() || time.Since(n.began)-k.read.at >= n.fresh {
		return nil, false
	}
	return k, true
}

// last returns the last known value of id, if it may yet be served in the absence of a better one.
func (n *near[K, T]) last(id K) (*item[T], bool) {
	if n.stale <= 0 {
		return nil, false
	}
	k, ok := n.kept.GetIfPresent(id)
	if !ok || time.Since(n.began)-k.read.at >= n.fresh+n.stale {
		return nil, false
	}
	return k, true
}

// keep has k be what is known of id. A value that was overtaken by a message is no better than what is there.
func (n *near[K, T]) keep(id K, k *item[T]) {
	switch {
	case n.kept == nil:
	case k.read.mark.current():
		n.kept.Set(id, k)
	case n.stale > 0:
		n.kept.SetIfAbsent(id, k)
	}
}

// forget drops what is known of id, the last known value too.
func (n *near[K, T]) forget(id K) {
	if n.kept != nil {
		n.kept.Invalidate(id)
	}
}
