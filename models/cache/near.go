package cache

import (
	"bytes"
	"hash/maphash"
	"reflect"
	"sync/atomic"
	"time"

	"github.com/maypok86/otter/v2"
)

// Writes of other processes make the values that this process keeps untrue; a message tells of each. Such a message can
// arrive between a reader's read of Redis and the moment at which it keeps the value. So every key has a generation, which
// each message increases: a reader notes the generation before it asks Redis, and the value that it keeps is fresh only
// while the generation is still the same. Keys share generations by their hash, which costs a needless read of Redis now and
// then.

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

// known is an item as it was read.
type known struct {
	item any // *item[T]
	reading
}

// nearKey is an id of any kind; the other field is zero.
type nearKey struct {
	number uint64
	text   string
}

func nearKeyOf[K ID](id K) nearKey {
	v := reflect.ValueOf(id)
	switch {
	case v.CanInt():
		return nearKey{number: uint64(v.Int())}
	case v.CanUint():
		return nearKey{number: v.Uint()}
	}
	return nearKey{text: v.String()}
}

// nearStore is the part of otter's cache that near uses. One type of key and one of value for all caches, behind an
// interface, keep the packages that use a Cache from compiling all of otter for each of their types.
type nearStore interface {
	GetIfPresent(nearKey) (known, bool)
	Set(nearKey, known) (known, bool)
	SetIfAbsent(nearKey, known) (known, bool)
	CleanUp()
	EstimatedSize() int
}

// newNearStore holds so many values, any number with 0. Inlined, it would be compiled with all of otter elsewhere, too.
//
//go:noinline
func newNearStore(size int) nearStore {
	return otter.Must(&otter.Options[nearKey, known]{MaximumSize: size})
}

// near keeps values in the process: fresh ones, for a short time; the last known ones, for when neither Redis nor the
// database answers; and decoded ones, so that a value that is still the same in Redis is not decoded again. It is safe for
// concurrent use.
type near[K ID, T any] struct {
	kept  nearStore
	fresh time.Duration // 0: a value is never fresh, but may be the last one known
	stale time.Duration // beyond fresh
	began time.Time
}

const (
	// fewKept is how many values are kept where there is no near cache, to be served as the last known ones or to be spared
	// the decoding.
	fewKept = 1000
	// maxSame is the largest value, in bytes of JSON, that is kept for the sake of its decoding alone.
	maxSame = 4 << 10
)

// newNear keeps so many values for the time fresh and, as last known ones, for the time stale beyond that. With size 0
// no value is fresh.
func newNear[K ID, T any](size int, fresh, stale time.Duration, began time.Time) near[K, T] {
	n := near[K, T]{fresh: fresh, stale: stale, began: began}
	if size <= 0 {
		n.fresh, size = 0, fewKept
	}
	// Values expire by their own time: the cache's clock would take a goroutine, and drop what is yet to be the last known.
	n.kept = newNearStore(size)
	return n
}

// keepAll drops none. It is for few ids, and spares each read the notes on which to drop. It must come before any is kept.
func (n *near[K, T]) keepAll() { n.kept = newNearStore(0) }

// get returns the value of id if it is fresh.
func (n *near[K, T]) get(id K) (*item[T], bool) {
	if n.fresh <= 0 {
		return nil, false
	}
	k, ok := n.kept.GetIfPresent(nearKeyOf(id))
	if !ok || !k.mark.current() || time.Since(n.began)-k.at >= n.fresh {
		return nil, false
	}
	return k.item.(*item[T]), true
}

// last returns the last known value of id, if it may yet be served in the absence of a better one.
func (n *near[K, T]) last(id K) (*item[T], bool) {
	if n.stale <= 0 {
		return nil, false
	}
	k, ok := n.kept.GetIfPresent(nearKeyOf(id))
	if !ok || time.Since(n.began)-k.at >= n.fresh+n.stale {
		return nil, false
	}
	return k.item.(*item[T]), true
}

// same returns the item that was made of v before, if it is at hand.
func (n *near[K, T]) same(id K, v raw) (*item[T], bool) {
	k, ok := n.kept.GetIfPresent(nearKeyOf(id))
	if !ok {
		return nil, false
	}
	it := k.item.(*item[T])
	if it.raw == nil || !bytes.Equal(it.raw, v) {
		return nil, false
	}
	return it, true
}

// keep stores item as the known value of id. An item that a message has made untrue since it was read replaces none.
func (n *near[K, T]) keep(id K, it *item[T], r reading) {
	if n.fresh <= 0 && n.stale <= 0 { // to be the same again
		if _, kept := n.same(id, it.raw); !kept && len(it.raw) <= maxSame {
			n.kept.Set(nearKeyOf(id), known{it, r})
		}
		return
	}
	switch {
	case r.mark.current():
		n.kept.Set(nearKeyOf(id), known{it, r})
	case n.stale > 0:
		n.kept.SetIfAbsent(nearKeyOf(id), known{it, r})
	}
}
