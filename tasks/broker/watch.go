package broker

import (
	"context"
	"fmt"
	"hash/maphash"
	"slices"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/paidui/paidui/models/redisx"
	"github.com/paidui/paidui/tasks/broker/internal/format"
)

const (
	lookBatch     = 2 * findBatch
	looksInFlight = 1 // so that no answer overtakes a later one
	// lookPause is how long after a failed look the next one comes.
	lookPause = time.Second
)

// Watcher follows one task for one caller. Its methods are safe for concurrent use.
type Watcher struct {
	h       *hub
	topic   *topic
	changed chan struct{} // holds a token while there is something to take

	// The hub's mutex guards these.
	record *StoredTask
	err    error
	asked  bool // a look was sent since it watches: an earlier one may be older than its question
	told   bool
}

// topic is one task with all who watch it.
type topic struct {
	ref      Ref
	next     *topic // the task of the same id in another queue
	watchers []*Watcher
	queued   bool   // a look at it is to come
	seen     uint64 // digest of the last look's answer; 0 before the first
}

// Watch begins to follow a task, and returns its record of this moment. Both are nil when the queue has no such task.
// The watcher is the caller's to close.
//
// Watchers of one process share a subscription to what Redis tells of tasks that are watched, and one look at a task
// serves all of its watchers.
func (b *Broker) Watch(ctx context.Context, queue, id string) (*Watcher, *StoredTask, error) {
	w := b.events.add(Ref{queue, id})
	select {
	case <-w.changed:
	case <-ctx.Done():
		w.Close()
		return nil, nil, context.Cause(ctx)
	}
	record, err := w.Take()
	if err != nil || record == nil {
		w.Close()
		return nil, nil, err
	}
	return w, record, nil
}

// Changed receives when there is something new to Take. Changes that nobody has taken yet become one.
func (w *Watcher) Changed() <-chan struct{} { return w.changed }

// Take returns the newest record, nil when the task is gone. It gives an error when the broker was closed.
func (w *Watcher) Take() (*StoredTask, error) {
	w.h.mu.Lock()
	defer w.h.mu.Unlock()
	select {
	case <-w.changed: // what it stands for is taken now
	default:
	}
	record, err := w.record, w.err
	w.record = nil
	return record, err
}

// Close ends the watching. Twice is safe.
func (w *Watcher) Close() { w.h.remove(w) }

// tell gives the watcher something to take. The hub is locked.
func (w *Watcher) tell(record *StoredTask, err error) {
	w.record, w.err, w.told = record, err, true
	select {
	case w.changed <- struct{}{}:
	default:
	}
}

// hub has all watchers of a broker.
type hub struct {
	b     *Broker
	looks redisx.Batcher[*topic]
	seed  maphash.Seed

	check        time.Duration // between two checks for lost events
	unsubscribed time.Duration // the same while there is no subscription
	linger       time.Duration // how long the subscription outlives the last watcher
	listener     sync.WaitGroup

	mu           sync.Mutex
	closed       bool
	topics       map[string]*topic // by the task's id
	subscription *subscription     // nil while nobody watches
	rest         *time.Timer       // ends the subscription; nil while somebody watches
}

func newHub(b *Broker) *hub {
	h := &hub{
		b: b, seed: maphash.MakeSeed(), topics: make(map[string]*topic),
		check: checkInterval, unsubscribed: unsubscribedInterval, linger: subscriptionLinger,
	}
	h.looks = redisx.Batcher[*topic]{Flush: h.look, Size: lookBatch, MaxInFlight: looksInFlight}
	return h
}

func (h *hub) add(ref Ref) *Watcher {
	h.mu.Lock()
	defer h.mu.Unlock()
	w := &Watcher{h: h, changed: make(chan struct{}, 1)}
	if h.closed {
		w.tell(nil, redis.ErrClosed)
		return w
	}
	t := h.topics[ref.ID]
	for t != nil && t.ref != ref {
		t = t.next
	}
	if t == nil {
		t = &topic{ref: ref, next: h.topics[ref.ID]}
		h.topics[ref.ID] = t
	}
	w.topic = t
	t.watchers = append(t.watchers, w)
	h.ensureSubscription()
	if h.subscription.ready {
		h.queue(t)
	}
	return w
}

func (h *hub) remove(w *Watcher) {
	h.mu.Lock()
	defer h.mu.Unlock()
	t := w.topic
	if t == nil {
		return
	}
	w.topic, w.record = nil, nil
	i := slices.Index(t.watchers, w)
	t.watchers = slices.Delete(t.watchers, i, i+1)
	if len(t.watchers) == 0 {
		h.drop(t)
	}
}

// drop forgets a topic. The hub is locked.
func (h *hub) drop(t *topic) {
	first := h.topics[t.ref.ID]
	switch {
	case first != t:
		for first.next != t {
			first = first.next
		}
		first.next = t.next
	case t.next != nil:
		h.topics[t.ref.ID] = t.next
	default:
		delete(h.topics, t.ref.ID)
	}
	if len(h.topics) == 0 {
		h.rest = time.AfterFunc(h.linger, h.endSubscription)
	}
}

// queue has the next batch look at the topic. The hub is locked.
func (h *hub) queue(t *topic) {
	if !t.queued {
		t.queued = true
		h.looks.Add(t)
	}
}

// queueAll looks at all topics. The hub is locked.
func (h *hub) queueAll() {
	for _, t := range h.topics {
		for ; t != nil; t = t.next {
			h.queue(t)
		}
	}
}

// look asks for the records of a batch, marks the tasks as watched, and tells whoever has not seen them so.
func (h *hub) look(batch []*topic) {
	h.mu.Lock()
	live := batch[:0]
	refs := make([]Ref, 0, len(batch))
	for _, t := range batch {
		t.queued = false
		if len(t.watchers) > 0 {
			live = append(live, t)
			refs = append(refs, t.ref)
			for _, w := range t.watchers {
				w.asked = true
			}
		}
	}
	h.mu.Unlock()
	if len(refs) == 0 {
		return
	}
	calls, of := h.b.lookups(refs, watchScript, findBatch)
	redisx.RunScripts(context.Background(), h.b.rdb, calls) // the client's own time limits hold
	h.mu.Lock()
	defer h.mu.Unlock()
	var again []*topic
	for i, c := range calls {
		replies, err := c.Cmd.Slice()
		if err == nil && len(replies) != len(of[i]) {
			err = fmt.Errorf("%d answers for %d tasks", len(replies), len(of[i]))
		}
		for j, at := range of[i] {
			t := live[at]
			if err != nil {
				t.fail(fmt.Errorf("look at task %s: %w", t.ref.ID, err))
				again = append(again, t)
				continue
			}
			t.tell(h.digest(replies[j]), replies[j])
		}
	}
	if len(again) > 0 && !h.closed {
		time.AfterFunc(lookPause, func() { h.lookAgain(again) })
	}
}

func (h *hub) lookAgain(topics []*topic) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, t := range topics {
		if len(t.watchers) > 0 && !h.closed {
			h.queue(t)
		}
	}
}

// tell gives an answer to the watchers that do not know it. The hub is locked.
func (t *topic) tell(digest uint64, reply any) {
	var record *StoredTask
	read := false
	for _, w := range t.watchers {
		if !w.asked || w.told && digest == t.seen {
			continue
		}
		if !read {
			record, read = newStoredTask(t.ref, reply), true
		}
		w.tell(record, nil)
	}
	t.seen = digest
}

// fail tells those who wait for their first record. The others wait on. The hub is locked.
func (t *topic) fail(err error) {
	for _, w := range t.watchers {
		if w.asked && !w.told {
			w.tell(nil, err)
		}
	}
}

// digest tells answers apart. It is never 0.
func (h *hub) digest(reply any) uint64 {
	var d maphash.Hash
	d.SetSeed(h.seed)
	fields, _ := reply.([]any)
	for _, f := range fields {
		if s, ok := f.(string); ok {
			_, _ = d.WriteString(s) // a hash takes everything
			_ = d.WriteByte(1)
		}
		_ = d.WriteByte(0)
	}
	return max(d.Sum64(), 1)
}

var watchScript = format.Script("watch.lua")
