package history

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/paidui/paidui/models"
)

// SettlerOptions configure a Settler. The zero value is a sensible one.
type SettlerOptions struct {
	Logger   *slog.Logger          // slog.Default when nil
	Registry prometheus.Registerer // where the metrics go; nowhere when nil
}

// Settler keeps the history true to what becomes of tasks: it clears bundles of the tasks that have ended, and compares
// those that have not with Redis. Any number of processes may run one; they share the work. A process may be killed at
// any moment: what it had begun is done again.
type Settler struct {
	store   *Store
	logger  *slog.Logger
	metrics *settlerMetrics
	pace    pace
	rounds  rounds
}

// pace is how often a Settler does what, and how much of its time it takes.
type pace struct {
	idle   time.Duration // between looks for bundles that are due, when there were none
	young  int           // of the time that a young bundle took, to pause before the next
	old    int           // ... an old one
	round  time.Duration // between rounds through the records that have not ended
	limit  time.Duration // for one bundle, or one round
	longer time.Duration // between two tries while it fails, at most
}

var standardPace = pace{
	idle:   time.Second,
	young:  2,
	old:    9,
	round:  time.Minute,
	limit:  15 * time.Second,
	longer: 30 * time.Second,
}

// NewSettler makes a settler of the store's history. Run it.
func NewSettler(s *Store, opt SettlerOptions) (*Settler, error) {
	if opt.Logger == nil {
		opt.Logger = slog.Default()
	}
	m, err := newSettlerMetrics(opt.Registry)
	if err != nil {
		return nil, err
	}
	return &Settler{store: s, logger: opt.Logger, metrics: m, pace: standardPace}, nil
}

// Run settles until ctx ends; then it finishes what it has begun.
func (s *Settler) Run(ctx context.Context) error {
	var parts sync.WaitGroup
	parts.Go(func() {
		s.repeat(ctx, s.pace.idle, s.pace.young, func(ctx context.Context) (bool, error) { return s.one(ctx, false) })
	})
	parts.Go(func() {
		s.repeat(ctx, s.pace.idle, s.pace.old, func(ctx context.Context) (bool, error) { return s.one(ctx, true) })
	})
	parts.Go(func() { s.repeat(ctx, s.pace.round, 0, s.round) })
	parts.Wait()
	return nil
}

// Settle looks at all bundles once, due or not, and returns of how many tasks they still hold the records.
func (s *Settler) Settle(ctx context.Context) (waiting int, err error) {
	err = s.store.settleBundles(ctx, endOfTime, func(found *finding) error {
		s.metrics.count(found)
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("history: settle bundles: %w", err)
	}
	waiting, _, err = s.store.backlog(ctx)
	return waiting, err
}

// repeat does work again and again: after a pause of so many times as long as it took while there is more, else after
// the idle time.
func (s *Settler) repeat(ctx context.Context, idle time.Duration, times int, work func(context.Context) (more bool, err error)) {
	timer := time.NewTimer(rand.N(idle))
	defer timer.Stop()
	failures := 0
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		begun := time.Now()
		more, err := s.within(ctx, work)
		wait := idle*3/4 + rand.N(idle/2+1)
		switch {
		case err != nil:
			failures++
			wait = min(s.pace.longer, wait<<min(failures, 10))
			s.logger.WarnContext(ctx, "the history can't be settled now", "error", err, "failures", failures)
		case more:
			failures, wait = 0, time.Duration(times)*time.Since(begun)
		default:
			failures = 0
		}
		timer.Reset(wait)
	}
}

// within gives the work its own time, whatever becomes of ctx.
func (s *Settler) within(ctx context.Context, work func(context.Context) (bool, error)) (more bool, err error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.pace.limit)
	defer cancel()
	return work(ctx)
}

// skimmed is how many bundles a process chooses among. Several processes thus seldom want the same one.
const skimmed = 16

// one settles a bundle that is due, and before that those that take no time: of which nothing has ended, or everything.
func (s *Settler) one(ctx context.Context, old bool) (more bool, err error) {
	list, err := s.store.dueBundles(ctx, old, skimmed)
	if err != nil {
		return false, fmt.Errorf("history: look for bundles: %w", err)
	}
	if len(list) == 0 {
		return false, nil
	}
	whole, list, err := s.store.skim(ctx, list)
	if err != nil {
		return false, fmt.Errorf("history: look into bundles: %w", err)
	}
	whole, ended, err := s.store.clear(ctx, whole)
	if err != nil {
		return false, fmt.Errorf("history: clear bundles: %w", err)
	}
	s.metrics.settled.WithLabelValues(asEnded).Add(float64(ended))
	list = append(list, whole...)
	if len(list) == 0 {
		return true, nil
	}
	b, err := s.store.claim(ctx, list[rand.N(len(list))])
	if err != nil {
		return false, fmt.Errorf("history: claim a bundle: %w", err)
	}
	if b == nil { // another has it
		return true, nil
	}
	found, err := s.store.settleBundle(ctx, b)
	switch {
	case errors.Is(err, errTaken):
		return true, nil
	case errors.Is(err, errBundle):
		return true, s.putOff(ctx, b, err)
	case err != nil:
		return false, err
	}
	s.metrics.count(found)
	return true, nil
}

// putOff leaves a bundle that can't be read, for a program that can or an operator who removes it.
func (s *Settler) putOff(ctx context.Context, b *models.TaskBundle, why error) error {
	s.logger.ErrorContext(ctx, "records of tasks that wait are missing in the history", "records", b.Tasks, "error", why)
	return s.store.postpone(ctx, b.ID, b.LookAt, true, s.store.now().UTC().Add(time.Hour).Truncate(time.Microsecond))
}
