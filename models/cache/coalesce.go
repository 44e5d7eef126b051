package cache

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"time"
)

const (
	readBatch = 256 // keys of one round trip, at most
	readLanes = 2   // round trips under way, at most
	// soonAfter is how long a reader waits before it looks whether its caller is still there. Nearly all have their
	// answer by then, and a context may have to start a timer for whoever waits for its end.
	soonAfter = 20 * time.Millisecond
)

// reads joins the reads of concurrent callers, so that many share one round trip (group commit). Nobody waits for
// company: a read goes at once while a lane is free, and those that come meanwhile go together. A key that several want
// is asked for once. It is safe for concurrent use.
type reads struct {
	fetch func(ctx context.Context, keys []string) []reply // one for each key
	soon  coarse

	mu      sync.Mutex
	waiting []*pending
	busy    int
}

// pending is a read on its way. It is used again, unless its caller left before it was answered.
type pending struct {
	key   string
	ready chan struct{} // takes one token
	reply reply
}

var pendings = sync.Pool{New: func() any { return &pending{ready: make(chan struct{}, 1)} }}

// get reads one key. It returns within about twice the time limits of the servers, or when ctx ends.
func (r *reads) get(ctx context.Context, key string) reply {
	p := pendings.Get().(*pending)
	p.key = key
	r.add(p)
	select {
	case <-p.ready:
	case <-r.soon.after(soonAfter):
		select {
		case <-p.ready:
		case <-ctx.Done():
			return reply{err: fmt.Errorf("reading the cache: %w", context.Cause(ctx))}
		}
	}
	answer := p.reply
	p.key, p.reply = "", reply{}
	pendings.Put(p)
	return answer
}

func (r *reads) add(p *pending) {
	r.mu.Lock()
	r.waiting = append(r.waiting, p)
	start := r.busy < readLanes
	if start {
		r.busy++
	}
	r.mu.Unlock()
	if start {
		go r.run()
	}
}

func (r *reads) run() {
	var batch []*pending
	var keys []string
	places := make(map[string]int)
	for {
		runtime.Gosched() // who is about to read does so first
		if batch = r.take(batch[:0]); len(batch) == 0 {
			return
		}
		keys = keys[:0]
		clear(places)
		for _, p := range batch {
			if _, known := places[p.key]; !known {
				places[p.key] = len(keys)
				keys = append(keys, p.key)
			}
		}
		replies := r.fetch(context.Background(), keys)
		for i, p := range batch {
			p.reply = replies[places[p.key]]
			p.ready <- struct{}{}
			batch[i] = nil
		}
	}
}

func (r *reads) take(batch []*pending) []*pending {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := min(len(r.waiting), readBatch)
	batch = append(batch, r.waiting[:n]...)
	left := copy(r.waiting, r.waiting[n:])
	clear(r.waiting[left:])
	r.waiting = r.waiting[:left]
	if n == 0 {
		r.busy--
		r.waiting = nil // a burst leaves nothing behind
	}
	return batch
}

// coarse gives all who ask within a span one channel, which closes when it is over. The zero coarse is ready.
type coarse struct {
	mu   sync.Mutex
	over chan struct{}
}

func (c *coarse) after(span time.Duration) <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.over == nil {
		over := make(chan struct{})
		c.over = over
		time.AfterFunc(span, func() {
			c.mu.Lock()
			c.over = nil
			c.mu.Unlock()
			close(over)
		})
	}
	return c.over
}
