package cache

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/paidui/paidui/models/redisx"
)

const (
	readBatch     = 256 // keys of one round trip, at most
	readsInFlight = 2   // round trips under way, at most
	// soonAfter is how long a reader waits before it looks whether its caller is still there. Nearly all have their
	// answer by then, and a context may have to start a timer for whoever waits for its end.
	soonAfter = 20 * time.Millisecond
)

// reads joins the reads of concurrent callers, so that many share one round trip. A key that several want is asked for
// once. It is safe for concurrent use.
type reads struct {
	fetch   func(ctx context.Context, keys []string) []reply // one for each key
	soon    redisx.SharedTimer
	batches redisx.Batcher[*pending]
}

func newReads(fetch func(ctx context.Context, keys []string) []reply) *reads {
	r := &reads{fetch: fetch}
	r.batches = redisx.Batcher[*pending]{Flush: r.flush, Size: readBatch, MaxInFlight: readsInFlight}
	return r
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
	r.batches.Add(p)
	select {
	case <-p.ready:
	case <-r.soon.After(soonAfter):
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

// flush asks for the keys of a batch.
func (r *reads) flush(batch []*pending) {
	keys := make([]string, 0, len(batch))
	places := make(map[string]int, len(batch))
	for _, p := range batch {
		if _, known := places[p.key]; !known {
			places[p.key] = len(keys)
			keys = append(keys, p.key)
		}
	}
	replies := r.fetch(context.Background(), keys)
	for _, p := range batch {
		p.reply = replies[places[p.key]]
		p.ready <- struct{}{}
	}
}
