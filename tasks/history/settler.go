package history

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// SettlerOptions configure a Settler. The zero value is a sensible one.
type SettlerOptions struct {
	Logger   *slog.Logger          // slog.Default when nil
	Registry prometheus.Registerer // where the metrics go; nowhere when nil
}

// Settler compares the records of tasks that have not ended with Redis, turns what earlier builds have stored in bundles into
// rows, and groups the failures that they have written. Any number of processes may run one; they share the work. A process may be killed at any moment: what it had
// begun is done again.
type Settler struct {
	store     *Store
	logger    *slog.Logger
	metrics   *settlerMetrics
	pace      pace
	rounds    rounds
	converted int64 // the last bundle of the step before; 0 before the first
	adoption  adoption
}

// pace is how often a Settler does what.
type pace struct {
	idle   time.Duration // between two looks for bundles, when there were none
	busy   int           // pause after some bundles, as a multiple of the time that they took
	round  time.Duration // between two comparisons of records that have not ended, when all were compared
	rows   int           // that are compared at once
	pause  int           // after they were, as a multiple of the time that it took
	adopt  time.Duration // between two looks for failures that are not grouped
	limit  time.Duration // for one step
	longer time.Duration // between two tries while it fails, at most
}

var standardPace = pace{
	idle:   time.Second,
	busy:   2,
	round:  time.Minute,
	rows:   10_000,
	pause:  9,
	adopt:  10 * time.Minute,
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
	parts.Go(func() { s.repeat(ctx, s.pace.idle, s.pace.busy, s.convert) })
	parts.Go(func() { s.repeat(ctx, s.pace.round, s.pace.pause, s.round) })
	parts.Go(func() { s.repeat(ctx, s.pace.adopt, s.pace.pause, s.adopt) })
	parts.Wait()
	return nil
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

// convert turns the next bundles of earlier builds into rows. After the last one it begins anew.
func (s *Settler) convert(ctx context.Context) (more bool, err error) {
	ids, _, err := s.store.bundleIDs(ctx, bundlesAfter, s.converted, convertAtOnce)
	if err != nil {
		return false, err
	}
	if len(ids) == 0 {
		s.converted = 0
		return false, nil
	}
	done, err := s.store.convertBundles(ctx, ids)
	s.metrics.count(done)
	if err != nil {
		return false, err
	}
	s.converted = ids[len(ids)-1]
	return true, nil
}
