package beat

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/errgroup"

	"github.com/paidui/paidui/tasks"
	"github.com/paidui/paidui/tasks/schedule"
	"github.com/paidui/paidui/tasks/ticks"
)

// Options is what a scheduler needs. Path or Content, Catalog, Client and Redis are required.
type Options struct {
	Path       string         // of the YAML file, which is watched
	Content    []byte         // without a path, what a file would hold
	Catalog    *tasks.Catalog // the tasks that entries may name
	Client     *tasks.Client
	Redis      redis.UniversalClient // the broker's
	Ledger     *ticks.Ledger         // of durable entries; nil refuses them, unless Table has a database
	Table      *schedule.Table       // of entries that operators make and change; nil is none
	Location   *time.Location        // of entries and files that name none; nil is UTC
	Logger     *slog.Logger          // nil is slog.Default
	Clock      Clock                 // nil is the host's
	Registerer prometheus.Registerer // nil is none
}

// Beat is one scheduler. Any number of them may run on one Redis.
type Beat struct {
	opt     Options
	store   *ticks.Store
	clock   *limitedClock
	metrics *metrics
	outage  *outage
	watcher *watcher
	table   *follower
	first   *Schedule
	testHook

	settled *settledTicks

	mu        sync.Mutex
	announced bool
	told      *Schedule // the file that was announced last
}

// New loads the file of schedules, and makes no other request. Its error is one of Load's, or of the registerer.
func New(opt Options) (*Beat, error) {
	if opt.Logger == nil {
		opt.Logger = slog.Default()
	}
	if opt.Clock == nil {
		opt.Clock = systemClock{}
	}
	first, err := loadFor(opt)
	if err != nil {
		return nil, err
	}
	m, err := newMetrics(opt.Registerer)
	if err != nil {
		return nil, err
	}
	store := ticks.NewStore(opt.Redis)
	b := &Beat{
		opt: opt, store: store, metrics: m, first: first,
		clock:   newLimitedClock(opt.Clock, store, opt.Logger),
		outage:  newOutage(opt.Logger),
		settled: newSettledTicks(),
		watcher: newWatcher(opt, m, first),
		table:   newFollower(opt.Table, opt.Logger),
	}
	return b, nil
}

// Run ticks until ctx ends, and then returns nil within tickTimeout or so, with every tick that it began settled if the
// broker answers. A broker that is away is waited for. Call it once.
func (b *Beat) Run(ctx context.Context) error {
	changes, table := make(chan *Schedule), make(chan struct{})
	var watching sync.WaitGroup
	watching.Go(func() { b.watcher.run(ctx, changes) })
	watching.Go(func() { b.table.run(ctx, table) })
	defer watching.Wait()
	b.awaitTable(ctx)
	file := b.first
	current := b.plan(file)
	for {
		running, stop := context.WithCancel(ctx)
		var entries sync.WaitGroup
		entries.Go(func() { b.keepInForce(running, current) })
		select {
		case <-ctx.Done():
		case file = <-changes:
		case <-table:
		}
		stop()
		entries.Wait()
		if ctx.Err() != nil {
			return nil
		}
		before := current
		current = b.plan(file)
		b.metrics.forget(before.Schedule, current.Schedule)
	}
}

// Ready returns an error while the scheduler has not announced its schedule, while the broker is
// away, while the host's clock is ahead of the broker's, while the file of schedules is wrong (the last good one is
// then still in force), or while the table of schedules is in use and can't be read.
func (b *Beat) Ready(context.Context) error {
	b.mu.Lock()
	announced := b.announced
	b.mu.Unlock()
	errs := []error{b.outage.current(), b.clock.current(), b.watcher.current(), b.table.ready()}
	if !announced {
		errs = append(errs, errors.New("the schedule is not announced yet"))
	}
	return errors.Join(errs...)
}

// heartbeat is how often a scheduler says that it is there, several times within ticks.Silence.
const heartbeat = 10 * time.Second

// keepInForce announces a schedule and runs its entries until ctx ends, or stands by while another schedule is in force.
func (b *Beat) keepInForce(ctx context.Context, s *planned) {
	takeover := false
	for ctx.Err() == nil {
		a, err := b.announce(ctx, s, takeover)
		if err != nil {
			return
		}
		if a.Outdated > 0 {
			if b.awaitNewer(ctx, s, a.Outdated) != nil {
				return
			}
			continue
		}
		b.mu.Lock()
		b.announced, b.told = true, s.file
		b.mu.Unlock()
		b.metrics.inForce.Set(flag(a.InForce))
		if a.InForce {
			b.opt.Logger.Info("schedule in force", "path", b.opt.Path, "schedules", s.Len(), "hash", s.Hash())
			if b.serve(ctx, s, a) == nil {
				return
			}
			b.metrics.inForce.Set(0)
		}
		if b.standBy(ctx, s) != nil {
			return
		}
		takeover = true
	}
}

// awaitNewer has the table be read, since others have a later one in force. What is read then ends ctx; until that this schedule
// rests, so that a scheduler that stood still brings nothing back. Its only error is ctx's.
func (b *Beat) awaitNewer(ctx context.Context, s *planned, revision int64) error {
	b.metrics.inForce.Set(0)
	if b.table.demand(revision) {
		b.opt.Logger.Info("the schedule in force has a later table: this one waits until it is read", "revision", s.revision, "in_force", revision)
	}
	return b.clock.Sleep(ctx, tableEvery)
}

// announce puts the schedule in force, with claims that are open settled first, as often as it takes. Its only error is
// ctx's.
func (b *Beat) announce(ctx context.Context, s *planned, takeover bool) (a ticks.Announcement, err error) {
	err = b.retryUntilDone(ctx, func(ctx context.Context) error {
		for {
			if err := b.clock.measure(ctx); err != nil {
				return err
			}
			asked, now := wallClock(), b.clock.Now()
			plan := s.mark(b.settled.plan(s.Schedule, now))
			if err := b.loadNoted(ctx, s.Schedule, &plan); err != nil {
				return err
			}
			a, err = b.store.Announce(ctx, plan, now, takeover)
			if err != nil || len(a.Open) == 0 {
				return err
			}
			for _, claim := range a.Open {
				e, ok := s.Find(claim.Entry)
				if !ok {
					return fmt.Errorf("schedule %s: open claim of an entry that is not announced", claim.Entry)
				}
				err := b.runner(e, s.Schedule, nil).complete(ctx, claim, asked)
				if errors.Is(err, tasks.ErrQueueFull) { // the rule of the tick is over: it does not hold up all the others
					b.opt.Logger.Error("gave up a tick of a schedule that has changed: its queue is full",
						"schedule", claim.Entry, "tick", claim.Tick, "queue", claim.Queue)
					_, err = b.store.Settle(ctx, claim.Entry, claim.Tick, "", e.Rule.Next(claim.Tick))
				}
				if err != nil {
					return err
				}
			}
		}
	})
	if a.InForce {
		b.settled.setSecret(a.Secret)
	}
	return a, err
}

// serve runs every entry until ctx ends, which gives nil, or until another schedule is in force.
func (b *Beat) serve(ctx context.Context, s *planned, a ticks.Announcement) error {
	group, ctx := errgroup.WithContext(ctx)
	for _, e := range s.Entries() {
		if e.Paused {
			continue
		}
		r := b.runner(e, s.Schedule, a.Secret)
		group.Go(func() error { return r.run(ctx, a.Settled[e.Name]) })
		if e.Overlap == schedule.OverlapQueue {
			group.Go(func() error { return r.release(ctx) })
		}
	}
	group.Go(func() error { b.serveRequests(ctx, s.Schedule, a.Secret); return nil })
	if b.ledger() != nil {
		group.Go(func() error { b.forgetNoted(ctx, s); return nil })
	}
	if s.table == ticks.TableRead {
		group.Go(func() error { b.tidy(ctx, s); return nil })
	}
	group.Go(func() error {
		for b.clock.Sleep(ctx, heartbeat) == nil {
			presence, err := b.presence(ctx, s)
			if err == nil && presence != ticks.InForce {
				return errSuperseded
			}
		}
		return nil
	})
	return group.Wait()
}

// standBy returns nil once the schedule may be announced again: nobody keeps another one in force, or a fellow
// scheduler has put this one in force. Its only error is ctx's.
func (b *Beat) standBy(ctx context.Context, s *planned) error {
	for logged := false; ; logged = true {
		presence, err := b.presence(ctx, s)
		switch {
		case err != nil:
			return err
		case presence != ticks.StandBy:
			return nil
		case !logged:
			b.opt.Logger.Warn("standing by: another scheduler has announced another schedule; give all of them the same file",
				"path", b.opt.Path, "hash", s.Hash())
		}
		if err := b.clock.Sleep(ctx, heartbeat); err != nil {
			return err
		}
	}
}

// presence gives a sign of life, asks for the schedule's standing, and compares the clocks. Its only error is ctx's.
func (b *Beat) presence(ctx context.Context, s *planned) (p ticks.Presence, err error) {
	err = b.retryUntilDone(ctx, func(ctx context.Context) error {
		if p, err = b.store.Present(ctx, s.mark(ticks.Plan{})); err != nil {
			return err
		}
		return b.clock.measure(ctx)
	})
	return p, err
}

// announcements is the part of the outage that announcements and heartbeats are. No entry has this name.
const announcements = ""

// retryUntilDone calls ask until it succeeds. Its only error is ctx's.
func (b *Beat) retryUntilDone(ctx context.Context, ask func(context.Context) error) error {
	for backoff := minBackoff; ; backoff = min(2*backoff, maxBackoff) {
		attempt, cancel := context.WithTimeout(ctx, tickTimeout)
		err := ask(attempt)
		cancel()
		if err == nil {
			b.outage.answered(announcements)
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		b.outage.failed(announcements, err)
		if err := b.clock.Sleep(ctx, backoff); err != nil {
			return err
		}
	}
}

func (b *Beat) runner(e schedule.Entry, s *Schedule, secret []byte) *runner {
	return &runner{
		entry: e, schedule: s.Hash(), secret: secret,
		store: b.store, ledger: b.ledger(), client: b.opt.Client, clock: b.clock, knownTicks: b.settled,
		metrics: b.metrics, outage: b.outage, logger: b.opt.Logger, testHook: b.testHook,
	}
}
