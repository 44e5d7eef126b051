package cache

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/paidui/paidui/models/away"
)

// BusyError says that more reads of the database wait than can be served soon. The same read may succeed a moment later.
type BusyError struct {
	RetryAfter time.Duration
}

func (e *BusyError) Error() string { return "too many reads of the database wait" }

// ErrDatabaseAway says that the database was not asked, because it has not answered for some time. The same read may
// succeed a moment later.
var ErrDatabaseAway error = &away.Error{Err: errors.New("the database does not answer")}

const (
	parallelLoads = 16              // loads of a process that run at once
	waitingLoads  = 1024            // that wait for their turn
	loadTimeout   = 5 * time.Second // of one load, the wait for its turn included; shorter than a lease
	// queueTimeout is how long a load waits for its turn.
	queueTimeout = 2 * time.Second
	// busyRetry is when those who were refused may try again.
	busyRetry = time.Second
	// silentAfter is how long a load has run at least whose end by its time limit says that the database is silent.
	silentAfter = time.Second
)

// Load runs f, a read of the database, as one of the bounded number of loads that run at once; f's context ends after
// five seconds, the wait for its turn included. A load within f is a part of it. Load returns a *BusyError when too many
// wait already, or its turn does not come soon; and ErrDatabaseAway while the database is silent: when three loads in a row
// have found no end, only one a second tries. A panic in f becomes an error.
func (s *Store) Load(ctx context.Context, f func(ctx context.Context) error) error {
	nested := ctx.Value(inLoad{}) != nil
	if !nested && s.database.resting(time.Now()) {
		s.metrics.busy.Inc()
		return ErrDatabaseAway
	}
	ctx, cancel := context.WithTimeout(ctx, loadTimeout)
	defer cancel()
	return s.loads.run(ctx, func(ctx context.Context) (err error) {
		began := time.Now()
		if !nested {
			if !s.database.allow(began) {
				s.metrics.busy.Inc()
				return ErrDatabaseAway
			}
			defer func() { s.ended(ctx, time.Since(began), err) }()
		}
		defer func() {
			if p := recover(); p != nil {
				err = fmt.Errorf("a load panicked: %v\n%s", p, debug.Stack())
			}
		}()
		return f(ctx)
	})
}

// ended notes whether the database has answered a load. Errors but that of the time limit say nothing about that: they may
// be the load's own.
func (s *Store) ended(ctx context.Context, took time.Duration, err error) {
	switch {
	case err == nil:
		if s.database.answered() {
			s.log.InfoContext(ctx, "the database answers again")
		}
	case errors.Is(ctx.Err(), context.DeadlineExceeded) && took >= silentAfter:
		if s.database.failed(time.Now()) {
			s.log.WarnContext(ctx, "the database does not answer: it is left alone, but for one load a second", "error", err)
		}
	}
}

// loads bounds the reads of the database, so that a cache that is away or empty does not put its load on the database.
type loads struct {
	slots   chan struct{}
	queue   int64
	waiting atomic.Int64
	refused prometheus.Counter
}

func newLoads(atOnce, queue int, refused prometheus.Counter) *loads {
	return &loads{slots: make(chan struct{}, atOnce), queue: int64(queue), refused: refused}
}

type inLoad struct{}

// run calls f as soon as fewer than the bound run. It returns a *BusyError when too many wait already, or when its turn
// does not come within queueTimeout. Within f, run calls at once: who holds a turn needs no second one.
func (l *loads) run(ctx context.Context, f func(context.Context) error) error {
	if ctx.Value(inLoad{}) != nil {
		return f(ctx)
	}
	select {
	case l.slots <- struct{}{}:
	default:
		if err := l.wait(ctx); err != nil {
			return err
		}
	}
	defer func() { <-l.slots }()
	return f(context.WithValue(ctx, inLoad{}, true))
}

func (l *loads) wait(ctx context.Context) error {
	defer l.waiting.Add(-1)
	if l.waiting.Add(1) > l.queue {
		l.refused.Inc()
		return &BusyError{RetryAfter: busyRetry}
	}
	timer := time.NewTimer(queueTimeout)
	defer timer.Stop()
	select {
	case l.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("waiting to read the database: %w", context.Cause(ctx))
	case <-timer.C:
		l.refused.Inc()
		return &BusyError{RetryAfter: busyRetry}
	}
}
