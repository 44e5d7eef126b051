package fetch

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// prefetched are tasks that are active in Redis and wait here for asynq to ask for them.
type prefetched struct {
	patience time.Duration // how long tasks that were fetched ahead of a free slot wait for one

	mu      sync.Mutex
	batches []*batch // the first is next
	closed  bool
	isHold  bool           // nothing is given out, and what comes is put back
	epoch   uint64         // of the holds: what was asked for before one is put back
	fetches sync.WaitGroup // ahead; begins under mu before closed, and not while isHold

	unreturned atomic.Bool // some were not put back, as Redis did not answer

	// Of the goroutine that dequeues:
	pause time.Duration
	more  bool          // the last fetch left something in the queue
	ahead chan struct{} // closed at the end of the fetch ahead that is under way; nil without one
}

// batch is what one fetch brought: tasks of one queue.
type batch struct {
	queue string
	tasks []fetched
	full  bool // as large as it could be: there may be more
}

type fetched struct {
	queue, key, id, message, token string

	began     int64  // Unix milliseconds
	crashes   int    // earlier deliveries that ended with the death of their worker
	isRevoked bool   // it is to end without running
	revoked   string // why
}

// put takes what a fetch has brought that began in the epoch, unless it is to be put back.
func (p *prefetched) put(b *batch, epoch uint64) (refused bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || p.isHold || p.epoch != epoch {
		return true
	}
	p.batches = append(p.batches, b)
	return false
}

// now is the epoch in which a fetch begins.
func (p *prefetched) now() uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.epoch
}

// hold has nothing be given out or kept from now on, and gives what waits here. Once it has returned, no delivery begins.
func (p *prefetched) hold() []*batch {
	p.mu.Lock()
	defer p.mu.Unlock()
	rest := p.batches
	p.batches, p.isHold, p.epoch = nil, true, p.epoch+1
	return rest
}

// release ends a hold.
func (p *prefetched) release() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.isHold = false
}

func (p *prefetched) isHeld() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.isHold
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

// take gives the next task if it is the queue's, or of one for which nobody asks; the last argument tells for which they do.
// begin tells whether its delivery begins, which nothing comes between.
func (p *prefetched) take(queue string, asked func(string) bool, begin func(fetched) bool) (t fetched, begins, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.batches) == 0 || p.batches[0].queue != queue && asked(p.batches[0].queue) {
		return fetched{}, false, false
	}
	b := p.batches[0]
	t, b.tasks = b.tasks[0], b.tasks[1:]
	if len(b.tasks) == 0 {
		p.batches = p.batches[1:]
	}
	return t, begin(t), true
}

// removeFrom gives what is left of a batch, and the batches after it.
func (p *prefetched) removeFrom(b *batch) []*batch {
	p.mu.Lock()
	defer p.mu.Unlock()
	at := slices.Index(p.batches, b)
	if at < 0 {
		return nil
	}
	rest := p.batches[at:]
	p.batches = slices.Clone(p.batches[:at])
	return rest
}

// removeQueue gives all that waits here of the queue.
func (p *prefetched) removeQueue(queue string) (removed []*batch) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var rest []*batch
	for _, b := range p.batches {
		if b.queue == queue {
			removed = append(removed, b)
		} else {
			rest = append(rest, b)
		}
	}
	p.batches = rest
	return removed
}

// clear gives all that waits here.
func (p *prefetched) clear() []*batch {
	p.mu.Lock()
	defer p.mu.Unlock()
	rest := p.batches
	p.batches = nil
	return rest
}

func (p *prefetched) close() []*batch {
	p.mu.Lock()
	defer p.mu.Unlock()
	rest := p.batches
	p.batches, p.closed = nil, true
	return rest
}

// begin runs a fetch in the background, unless the fetcher has stopped.
func (p *prefetched) begin(fetch func()) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || p.isHold {
		return false
	}
	p.fetches.Go(fetch)
	return true
}
