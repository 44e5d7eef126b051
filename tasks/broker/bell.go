package broker

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	bellChannel = "paidui:wake"
	// bellGap is the shortest time between two publishes, so that a burst of tasks costs one message a queue.
	bellGap = time.Millisecond
	// bellTimeout bounds one publish, and bellRetry is the pause after one that failed; meanwhile the fetchers' fallback
	// finds the tasks.
	bellTimeout = 2 * time.Second
	bellRetry   = 200 * time.Millisecond
)

// bell tells idle workers, in this process and others, that a queue has something to fetch. It also keeps the queue in
// asynq's list of queues, where asynq's client puts it once in its life only: after the loss of Redis' data, tasks would
// otherwise run but be found by nobody.
type bell struct {
	rdb    redis.UniversalClient
	logger *slog.Logger

	mu    sync.Mutex
	dirty map[string]bool // queues to list, and whether to ring
	kick  chan struct{}   // capacity 1: dirty is not empty

	strokes *strokes

	stop context.CancelFunc
	done sync.WaitGroup
}

func newBell(rdb redis.UniversalClient, logger *slog.Logger) *bell {
	return &bell{
		rdb:     rdb,
		logger:  logger,
		dirty:   make(map[string]bool),
		kick:    make(chan struct{}, 1),
		strokes: newStrokes(),
	}
}

func (b *bell) start() {
	ctx, cancel := context.WithCancel(context.Background())
	b.stop = cancel
	b.done.Go(func() { b.publish(ctx) })
	b.done.Go(func() { b.listen(ctx) })
}

func (b *bell) close() {
	b.stop()
	b.done.Wait()
}

// announce lists a queue, and rings for it if there is something to fetch now. It never waits for Redis.
func (b *bell) announce(queue string, ring bool) {
	b.mu.Lock()
	b.dirty[queue] = b.dirty[queue] || ring
	b.mu.Unlock()
	select {
	case b.kick <- struct{}{}:
	default:
	}
}

func (b *bell) publish(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			if _, err := b.flush(); err != nil {
				b.logger.Debug("last wake-up not sent", "error", err)
			}
			return
		case <-b.kick:
		}
		gap := bellGap
		if queues, err := b.flush(); err != nil {
			b.logger.Debug("wake-up not sent; it will be", "error", err)
			for q, ring := range queues {
				b.announce(q, ring)
			}
			gap = bellRetry
		}
		select {
		case <-ctx.Done():
		case <-time.After(gap):
		}
	}
}

// flush sends what has gathered. With an error it returns that, too, for another try.
func (b *bell) flush() (queues map[string]bool, err error) {
	b.mu.Lock()
	queues = b.dirty
	b.dirty = make(map[string]bool, len(queues))
	b.mu.Unlock()
	if len(queues) == 0 {
		return nil, nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), bellTimeout)
	defer cancel()
	pipe := b.rdb.Pipeline()
	for q, ring := range queues {
		pipe.SAdd(ctx, allQueuesKey, q)
		if ring {
			pipe.Publish(ctx, bellChannel, q)
		}
	}
	_, err = pipe.Exec(ctx)
	return queues, err
}

func (b *bell) listen(ctx context.Context) {
	sub := b.rdb.Subscribe(ctx, bellChannel)
	messages := sub.ChannelWithSubscriptions()
	for {
		select {
		case <-ctx.Done():
			if err := sub.Close(); err != nil {
				b.logger.Debug("close wake-up subscription", "error", err)
			}
			return
		case m, ok := <-messages:
			if !ok {
				return
			}
			switch m := m.(type) {
			case *redis.Message:
				b.strokes.add(m.Payload)
			case *redis.Subscription:
				b.strokes.addAll() // what was published while the connection was gone is lost
			}
		}
	}
}

// strokes counts the wake-ups of each queue and lets fetchers wait for the next.
type strokes struct {
	mu    sync.Mutex
	count map[string]uint64
	all   uint64
	next  chan struct{} // closed at the next stroke of any queue
}

func newStrokes() *strokes {
	return &strokes{count: make(map[string]uint64), next: make(chan struct{})}
}

func (s *strokes) add(queue string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.count[queue]++
	close(s.next)
	s.next = make(chan struct{})
}

func (s *strokes) addAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all++
	close(s.next)
	s.next = make(chan struct{})
}

// of is the number of strokes that concerned the queue so far.
func (s *strokes) of(queue string) uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.count[queue] + s.all
}

// wait returns a channel that closes at the next stroke of any queue after this call.
func (s *strokes) wait() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.next
}
