package seckill

import (
	"context"
	"maps"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// checkAfter is the age at which what is known of a goods is checked again, if somebody asks for it.
	checkAfter = 500 * time.Millisecond
	// trustFor is the age from which it is not used any more.
	trustFor = time.Second
	// memoryUsers bounds the users that one process remembers, of all goods; 32 bytes each at most.
	memoryUsers = 1_000_000
	// memoryGoods bounds the goods.
	memoryGoods = 1000
	// memoryIdle is how long what nobody asks for takes up room that others need.
	memoryIdle = time.Minute
	// readLimit bounds one reading of everybody who is in.
	readLimit = 10 * time.Second
	// readPause is between two readings for one goods, at least; and readShare times as long as the first took, so
	// that goods that are given back and taken again all the time do not keep Redis busy.
	readPause = 200 * time.Millisecond
	readShare = 10
)

// memory is what this process knows of goods that are sold out, so that most of those who come too late are told
// without a question to Redis. For such goods it has everyone who is in, as he still gets his ticket, and the version
// that Redis gave of the sale. Whatever lets somebody else in changes the version, which is compared twice a second
// while anybody asks.
//
// So somebody is told that the goods are sold out only if that was so for him within trustFor; a user whom another
// process let in since the last check may be told so until the next.
type memory struct {
	ledger     ledger
	began      time.Time // ages are told by durations since then, as a monotonic clock is quicker to read
	background func(func())

	known    atomic.Pointer[map[int64]*soldOut] // by goods; never changed, but replaced under mu
	loadings atomic.Int64                       // under way

	mu      sync.Mutex
	loading map[int64]*loading // by goods
}

// soldOut is what is known of one goods.
type soldOut struct {
	version  soldOutVersion
	in       *userSet
	seen     atomic.Int64 // when Redis was last asked and had the same version; a duration since memory.began
	checking atomic.Bool
}

// loading is a reading of everyone who is in, or the last one.
type loading struct {
	underWay bool
	void     bool          // something changed meanwhile
	pause    time.Duration // no other begins before
}

func newMemory(l ledger) *memory {
	m := &memory{
		ledger: l, began: time.Now(), loading: make(map[int64]*loading),
		background: func(work func()) { go work() },
	}
	m.known.Store(&map[int64]*soldOut{})
	return m
}

func (m *memory) now() time.Duration { return time.Since(m.began) }

// refuses reports whether the goods are known to be sold out and the user not to be in. It does not wait.
func (m *memory) refuses(ctx context.Context, userID, goodsID int64) bool {
	k := (*m.known.Load())[goodsID]
	if k == nil {
		return false
	}
	age := m.now() - time.Duration(k.seen.Load())
	if age >= checkAfter && k.checking.CompareAndSwap(false, true) {
		m.checkLater(ctx, goodsID, k)
	}
	return age < trustFor && !k.in.has(userID)
}

// checkLater is apart from refuses so that only here something is allocated.
func (m *memory) checkLater(ctx context.Context, goodsID int64, k *soldOut) {
	m.background(func() { m.check(ctx, goodsID, k) })
}

// check asks Redis for the version. If it cannot be had, what is known grows too old to be used, and whoever comes then
// learns from Redis itself what is wrong.
func (m *memory) check(ctx context.Context, goodsID int64, k *soldOut) {
	ctx, cancel := cleanupContext(ctx)
	defer cancel()
	defer k.checking.Store(false)
	asked := m.now()
	now, err := m.ledger.soldOutVersion(ctx, goodsID)
	if err != nil {
		return
	}
	if now == k.version {
		k.seen.Store(int64(asked))
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if (*m.known.Load())[goodsID] == k {
		m.replace(goodsID, nil)
	}
}

// refresh begins to read everyone who is in, after Redis said that the goods are sold out.
func (m *memory) refresh(ctx context.Context, goodsID int64) {
	if l := m.begin(goodsID); l != nil {
		m.background(func() { m.load(ctx, goodsID, l) })
	}
}

// begin is nil when it is not the time for a loading.
func (m *memory) begin(goodsID int64) *loading {
	m.mu.Lock()
	defer m.mu.Unlock()
	if l := m.loading[goodsID]; l != nil && (l.underWay || m.now() < l.pause) {
		return nil
	}
	if len(m.loading) >= memoryGoods {
		maps.DeleteFunc(m.loading, func(_ int64, l *loading) bool { return !l.underWay })
	}
	l := &loading{underWay: true}
	m.loading[goodsID] = l
	m.loadings.Add(1)
	return l
}

func (m *memory) load(ctx context.Context, goodsID int64, l *loading) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), readLimit)
	defer cancel()
	began := m.now()
	k := m.read(ctx, goodsID)
	m.mu.Lock()
	defer m.mu.Unlock()
	ended := m.now()
	l.underWay, l.pause = false, ended+readPause+readShare*(ended-began)
	m.loadings.Add(-1)
	if k != nil && !l.void {
		m.replace(goodsID, k)
	}
}

// read returns nil when the goods are not sold out, or too many are in, or anything changed or failed meanwhile.
func (m *memory) read(ctx context.Context, goodsID int64) *soldOut {
	before, err := m.ledger.soldOutVersion(ctx, goodsID)
	if err != nil || before == (soldOutVersion{}) || before.admitted > memoryUsers {
		return nil
	}
	k := &soldOut{version: before, in: newUserSet(int(before.admitted))}
	for cursor := uint64(0); ; {
		page, next, err := m.ledger.admittedPage(ctx, goodsID, cursor)
		if err != nil {
			return nil
		}
		for _, r := range page {
			if !k.in.add(r.userID) {
				return nil
			}
		}
		if cursor = next; cursor == 0 {
			break
		}
	}
	// A version that stayed the same all the while shows that nobody left or came, so that no page is out of date.
	k.seen.Store(int64(m.now()))
	if after, err := m.ledger.soldOutVersion(ctx, goodsID); err != nil || after != before {
		return nil
	}
	return k
}

// forget is for a change that this process knows of: it is true at once here.
func (m *memory) forget(goodsID int64) {
	if m.loadings.Load() == 0 && (*m.known.Load())[goodsID] == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if l := m.loading[goodsID]; l != nil && l.underWay {
		l.void = true
	}
	m.replace(goodsID, nil)
}

// replace puts k, or nothing if it is nil, in the place of what is known of the goods. The caller holds mu.
func (m *memory) replace(goodsID int64, k *soldOut) {
	old := *m.known.Load()
	if k == nil && old[goodsID] == nil {
		return
	}
	known := maps.Clone(old)
	delete(known, goodsID)
	if k != nil {
		idle := m.now() - memoryIdle
		maps.DeleteFunc(known, func(_ int64, o *soldOut) bool { return time.Duration(o.seen.Load()) < idle })
		users := k.in.n
		for _, o := range known {
			users += o.in.n
		}
		if len(known) < memoryGoods && users <= memoryUsers {
			known[goodsID] = k
		}
	}
	m.known.Store(&known)
}
