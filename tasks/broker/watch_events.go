package broker

import (
	"context"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/paidui/paidui/models/redisx"
	"github.com/paidui/paidui/tasks/broker/internal/format"
)

const (
	// checkInterval is how often tasks that are watched are checked for an end that nobody told: its message was lost, or
	// another program ended it.
	checkInterval = time.Minute
	// unsubscribedInterval is the same while there is no subscription: Redis is away, or forbids it.
	unsubscribedInterval = time.Second
	checkBatch           = 500
	// subscriptionLinger is how long the subscription outlives the last watcher, for the next one to find it.
	subscriptionLinger = 5 * time.Second
	// lookSpread bounds the time after a reconnection over which processes spread their looks, by how many tasks they watch.
	lookSpread     = time.Second
	lookSpreadEach = 100 * time.Microsecond
)

// subscription is to the events, from the first watcher to some time after the last. The hub's mutex guards it.
type subscription struct {
	stop        context.CancelFunc
	ready       bool          // topics may be looked at: the subscription stands, or can't be had
	established bool          // the subscription stands
	lost        chan struct{} // holds a token when established has become false
}

// ensureSubscription makes sure that there is a subscription. The hub is locked.
func (h *hub) ensureSubscription() {
	if h.rest != nil {
		h.rest.Stop()
		h.rest = nil
	}
	if h.subscription != nil {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	e := &subscription{stop: cancel, lost: make(chan struct{}, 1)}
	h.subscription = e
	h.listener.Go(func() { h.subscribe(ctx, e) })
	h.listener.Go(func() { h.checks(ctx, e) })
}

func (h *hub) endSubscription() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.topics) == 0 && h.subscription != nil {
		h.subscription.stop()
		h.subscription = nil
	}
}

// close ends all watching.
func (h *hub) close() {
	h.mu.Lock()
	h.closed = true
	if h.rest != nil {
		h.rest.Stop()
	}
	if h.subscription != nil {
		h.subscription.stop()
		h.subscription = nil
	}
	for _, t := range h.topics {
		for ; t != nil; t = t.next {
			for _, w := range t.watchers {
				w.tell(nil, redis.ErrClosed)
			}
		}
	}
	h.mu.Unlock()
	h.listener.Wait()
}

// subscribe receives events until ctx ends.
func (h *hub) subscribe(ctx context.Context, e *subscription) {
	redisx.Subscription{
		Client:     h.b.rdb,
		Channel:    format.EventsChannel,
		Subscribed: func() { h.onSubscribed(e) },
		Message:    h.events,
		Lost:       func(err error) { h.onLost(e, err) },
	}.Run(ctx)
}

// onSubscribed looks at everything: what happened before, nobody told. When it was a loss of the connection, all processes
// have that at the same time.
func (h *hub) onSubscribed(e *subscription) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.subscription != e {
		return
	}
	first := !e.ready
	e.ready, e.established = true, true
	if first {
		h.queueAll()
		return
	}
	spread := min(lookSpread, time.Duration(len(h.topics))*lookSpreadEach)
	time.AfterFunc(rand.N(spread+1), func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		if !h.closed {
			h.queueAll()
		}
	})
}

// onLost lets the looks go on without a subscription.
func (h *hub) onLost(e *subscription, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.subscription != e {
		return
	}
	if e.established || !e.ready {
		h.b.logger.Warn("no events of tasks from the broker: whoever waits for a task learns its end a little later", "error", err)
	}
	if !e.ready {
		h.queueAll()
	}
	e.ready, e.established = true, false
	select {
	case e.lost <- struct{}{}:
	default:
	}
}

// events has the tasks of a message looked at that are watched here.
func (h *hub) events(message string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for line := range strings.SplitSeq(message, "\n") {
		if line == "" {
			continue
		}
		for t := h.topics[line[1:]]; t != nil; t = t.next {
			h.queue(t)
		}
	}
}

// checks looks from time to time for tasks whose end was not told, until ctx ends.
func (h *hub) checks(ctx context.Context, e *subscription) {
	for {
		h.mu.Lock()
		interval := h.check
		if !e.established && e.ready || h.b.muted() {
			interval = h.unsubscribed
		}
		h.mu.Unlock()
		timer := time.NewTimer(interval + rand.N(interval/4+1))
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-e.lost: // and from now on sooner
			timer.Stop()
		case <-timer.C:
			h.checkAll(ctx)
		}
	}
}

// checkAll asks for all tasks, some hundreds at a time, whether they have ended, and looks at those.
func (h *hub) checkAll(ctx context.Context) {
	h.mu.Lock()
	topics := make([]*topic, 0, len(h.topics))
	refs := make([]Ref, 0, len(h.topics))
	for _, t := range h.topics {
		for ; t != nil; t = t.next {
			topics = append(topics, t)
			refs = append(refs, t.ref)
		}
	}
	h.mu.Unlock()
	calls, of := h.b.lookups(refs, checkScript, checkBatch)
	for i, c := range calls {
		redisx.RunScripts(ctx, h.b.rdb, []*redisx.Call{c})
		ended, err := c.Cmd.Int64Slice()
		if err != nil {
			h.b.logger.DebugContext(ctx, "tasks that are waited for were not checked", "error", err)
			return
		}
		h.mu.Lock()
		for _, n := range ended {
			if t := topics[of[i][n-1]]; len(t.watchers) > 0 {
				h.queue(t)
			}
		}
		h.mu.Unlock()
	}
}

var checkScript = format.Script("watch_check.lua")
