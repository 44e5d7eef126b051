package fetch

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/paidui/paidui/tasks/broker"
	"github.com/paidui/paidui/tasks/broker/internal/format"
)

const (
	// fallback bounds how long an idle worker goes without asking: for wake-ups that were lost, tasks that other
	// programs enqueue, and queues that were resumed.
	fallback = time.Second
	// fallbackGrace is how much longer a worker waits for the end of its blocking call before it asks without it.
	fallbackGrace = 200 * time.Millisecond
	// pollInterval is how often an idle worker asks when wake-ups are turned off.
	pollInterval = 100 * time.Millisecond
)

// sleeper lets an idle worker wait for its queues. Each wake-up is an element of a list, which Redis hands to one
// blocked caller: so an enqueue wakes one worker, however many wait, and one that comes before the wait is not lost.
type sleeper struct {
	b      *broker.Broker
	lists  []*wakeList
	closed <-chan struct{}

	mu      sync.Mutex
	waiting chan struct{} // closed by the first wake-up; nil while nobody waits
}

// wakeList is what one blocking call waits for: all queues or, on a Redis Cluster, one.
type wakeList struct {
	keys    []string
	queue   map[string]string // by key
	blocked bool
}

func newSleeper(b *broker.Broker, queues []string, closed <-chan struct{}) *sleeper {
	s := &sleeper{b: b, closed: closed}
	s.listenTo(queues)
	return s
}

// listenTo has the next sleep wait for these queues.
func (s *sleeper) listenTo(queues []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lists = nil
	for i, q := range queues {
		if i == 0 || s.b.Clustered() {
			s.lists = append(s.lists, &wakeList{queue: make(map[string]string)})
		}
		last := s.lists[len(s.lists)-1]
		last.keys = append(last.keys, format.WakeKey(q))
		last.queue[format.WakeKey(q)] = q
	}
}

// wake ends the sleep, if there is one. A wake-up that comes after it is passed on to another worker.
func (s *sleeper) wake() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.waiting != nil {
		close(s.waiting)
		s.waiting = nil
	}
}

// sleep returns when one of the queues rings, or it is time to look all the same. One goroutine may sleep at a time.
func (s *sleeper) sleep() {
	woken, limit := make(chan struct{}), fallback+fallbackGrace
	if s.b.Options().NoWakeUp {
		limit = pollInterval
	} else {
		s.listen(woken)
	}
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-woken:
	case <-timer.C:
	case <-s.closed:
	}
	s.mu.Lock()
	s.waiting = nil
	s.mu.Unlock()
}

func (s *sleeper) listen(woken chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.waiting = woken
	for _, l := range s.lists {
		if !l.blocked { // the call of an earlier sleep may be under way still
			l.blocked = true
			s.b.Go(func() { s.block(l) })
		}
	}
}

func (s *sleeper) block(l *wakeList) {
	popped, err := s.b.Redis().BLPop(context.Background(), fallback, l.keys...).Result()
	s.mu.Lock()
	l.blocked = false
	asleep := s.waiting != nil && slices.Contains(s.lists, l)
	select {
	case <-s.closed:
		asleep = false
	default:
	}
	if asleep && (err == nil || errors.Is(err, redis.Nil)) {
		close(s.waiting)
		s.waiting = nil
	}
	s.mu.Unlock()
	if err == nil && !asleep { // a wake-up for another worker
		if err := s.b.Ring(context.Background(), l.queue[popped[0]]); err != nil {
			s.b.Options().Logger.Debug("wake-up not passed on; the fallback finds the task", "error", err)
		}
	}
}
