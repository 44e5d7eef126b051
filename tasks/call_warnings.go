package tasks

import (
	"context"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/paidui/paidui/tasks/broker"
)

// WarningCode is a kind of Warning.
type WarningCode string

// The kinds of warnings.
const (
	WarnNoWorker    WarningCode = "no_worker"    // no living worker takes from the queue: the task waits for one
	WarnUnknownTask WarningCode = "unknown_task" // those that do have no handler for the task: it fails after its retries
)

// Warning is what a caller should know of a task that is made all the same.
type Warning struct {
	Code        WarningCode
	Task, Queue string
}

// Warnings tells what the caller of the signature should know, which mostly is nothing. What is known of the workers is up
// to a second old, and of one that died some ten seconds. While the broker is slow or away, and once ctx has ended, there are no warnings, and Warnings takes a
// tenth of a second at most.
func (c *Client) Warnings(ctx context.Context, s Signature) []Warning {
	if s.check() != nil || c.broker == nil {
		return nil
	}
	w := Warning{Task: s.name, Queue: c.queueOf(s.name, &s.options)}
	switch c.services.of(ctx, c.broker, w.Queue, w.Task) {
	case broker.NoWorker:
		w.Code = WarnNoWorker
	case broker.NoHandler:
		w.Code = WarnUnknownTask
	default:
		return nil
	}
	return []Warning{w}
}

const (
	serviceAge  = time.Second            // for which an answer counts
	serviceWait = 100 * time.Millisecond // for an answer
	maxServices = 1000                   // answers that are kept
)

// serviceCache holds which queues and tasks have workers. The zero value is ready.
type serviceCache struct {
	group singleflight.Group

	mu    sync.Mutex
	known map[serviceKey]service
}

type serviceKey struct{ queue, task string }

type service struct {
	is broker.Service
	at time.Time
}

func (s *serviceCache) of(ctx context.Context, b *broker.Broker, queue, task string) broker.Service {
	key := serviceKey{queue, task}
	s.mu.Lock()
	seen, known := s.known[key]
	s.mu.Unlock()
	if known && time.Since(seen.at) < serviceAge {
		return seen.is
	}
	if ctx.Err() != nil {
		return broker.Served
	}
	is, _, _ := s.group.Do(queue+" "+task, func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), serviceWait)
		defer cancel()
		is, err := b.Service(ctx, queue, task)
		if err != nil {
			is = broker.Served
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.known == nil || len(s.known) >= maxServices {
			s.known = make(map[serviceKey]service)
		}
		s.known[key] = service{is, time.Now()}
		return is, nil
	})
	return is.(broker.Service)
}
