// Package pool runs tasks: asynq on the broker's shared connection, with a drain at the end and a sign of life.
package pool

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync/atomic"
	"time"

	"github.com/hibiken/asynq"

	"github.com/paidui/paidui/tasks"
	"github.com/paidui/paidui/tasks/broker"
	"github.com/paidui/paidui/tasks/broker/fetch"
)

// Config says what a pool serves.
type Config struct {
	Name        string         // in every log line; "" is host:pid
	Queues      map[string]int // weight by queue, at least 1: how often it is asked first
	Concurrency int            // tasks at a time, at least 1
	Drain       time.Duration  // how long running tasks may go on after the end; then they are put back
	Life        time.Duration  // how long a worker may be silent before others take over its tasks; the same in all. 0 is 5 s
	Logger      *slog.Logger   // nil is slog.Default
	Version     string         // of the program, for lists of workers
	LogLevel    *slog.LevelVar // of Logger, which an operator may change; nil is that it can't be
}

// Pool runs the tasks of some queues. Run it once.
type Pool struct {
	cfg     Config
	fetcher *fetch.Fetcher
	server  *asynq.Server
	mux     *tasks.Mux
	logger  *slog.Logger

	cancel  context.CancelFunc // of every handler's context
	phase   atomic.Int32       // idle, serving, draining
	running atomic.Int64
}

const (
	idle int32 = iota
	serving
	draining
)

// New checks the configuration, reporting all that is wrong with it, and makes a pool that does not run yet.
func New(b *broker.Broker, m *tasks.Mux, cfg Config) (*Pool, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	if cfg.Name == "" {
		host, err := os.Hostname()
		if err != nil {
			host = "worker"
		}
		cfg.Name = fmt.Sprintf("%s:%d", host, os.Getpid())
	}
	p := &Pool{
		cfg:    cfg,
		mux:    m,
		logger: cfg.Logger.With("worker", cfg.Name),
	}
	// asynq's own number stays: it is the bound, and the fetcher gives out as many as there are slots. A slot that is not
	// taken costs asynq nothing.
	most := max(fetch.MaxSlots, cfg.Concurrency)
	p.fetcher = fetch.New(b, fetch.Config{
		Name:   cfg.Name,
		Queues: cfg.Queues,
		Slots:  cfg.Concurrency,
		Tasks:  m.Tasks(),
		Life:   cfg.Life,

		MaxSlots: most,
		Version:  cfg.Version,
		LogLevel: cfg.LogLevel,
	})
	base, cancel := context.WithCancel(p.fetcher.Context(context.Background()))
	p.cancel = cancel
	p.server = asynq.NewServerFromRedisClient(p.fetcher, m.Engine(asynq.Config{
		Concurrency:     most,
		Queues:          cfg.Queues,
		BaseContext:     func() context.Context { return base },
		ShutdownTimeout: max(cfg.Drain, time.Millisecond), // 0 would be asynq's default
		Logger:          asynqLogger{p.logger},
	}))
	return p, nil
}

func (c Config) validate() error {
	var errs []error
	if len(c.Queues) == 0 {
		errs = append(errs, errors.New("queues: name at least one"))
	}
	for name, weight := range c.Queues {
		if !tasks.ValidQueue(name) {
			errs = append(errs, fmt.Errorf("queues: %q is not 1 to 64 letters, digits, '_' or '-', the first a letter or digit", name))
		}
		if weight < 1 {
			errs = append(errs, fmt.Errorf("queues: the weight of %s is %d, want at least 1", name, weight))
		}
	}
	if c.Concurrency < 1 {
		errs = append(errs, fmt.Errorf("concurrency: %d, want at least 1", c.Concurrency))
	}
	if c.Drain < 0 {
		errs = append(errs, fmt.Errorf("drain: %v, want 0 or more", c.Drain))
	}
	if c.Life < 0 {
		errs = append(errs, fmt.Errorf("life: %v, want 0 or more", c.Life))
	}
	return errors.Join(errs...)
}

// Run serves the queues until ctx ends, then drains: it takes nothing new, lets running tasks finish within
// Config.Drain, and puts back at the head of their queue those that do not. It returns, too, when an operator has told the
// worker to drain (tasks.Client.DrainWorker), and nothing runs any more, however long that takes.
func (p *Pool) Run(ctx context.Context) error {
	defer p.cancel()
	if err := p.server.Start(p); err != nil {
		return fmt.Errorf("start worker: %w", err)
	}
	p.phase.Store(serving)
	p.logger.InfoContext(ctx, "worker started", "queues", p.cfg.Queues, "concurrency", p.cfg.Concurrency)
	select {
	case <-ctx.Done():
	case <-p.fetcher.Draining():
		p.phase.Store(draining)
		p.logger.InfoContext(ctx, "worker drains, as it was told: it ends when nothing runs any more", "running", p.running.Load())
		p.awaitIdle(ctx)
	}
	p.logger.Info("worker drains", "running", p.running.Load(), "limit", p.cfg.Drain.String())
	p.fetcher.Stop()
	p.phase.Store(draining)
	p.server.Shutdown()
	p.fetcher.Leave()
	p.logger.Info("worker stopped", "abandoned", p.running.Load()) // handlers that ignore their context
	return nil
}

// idleCheck is how often a worker that drains looks whether its tasks have ended.
const idleCheck = 20 * time.Millisecond

// awaitIdle waits until no task runs, or ctx ends.
func (p *Pool) awaitIdle(ctx context.Context) {
	ticker := time.NewTicker(idleCheck)
	defer ticker.Stop()
	for p.fetcher.Busy() || p.running.Load() > 0 {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// ProcessTask counts what runs and hands the task to the mux; it is for asynq.
func (p *Pool) ProcessTask(ctx context.Context, t *asynq.Task) error {
	p.running.Add(1)
	defer p.running.Add(-1)
	return p.mux.ProcessTask(ctx, t)
}

// fetchLimit is how long a worker with a free slot may go without an answer from Redis before it is not ready. An
// idle one asks once a second.
const fetchLimit = 10 * time.Second

// Ready tells whether the pool is really fetching: Redis answered lately, every slot is taken, or an operator has paused it.
func (p *Pool) Ready(context.Context) error {
	switch p.phase.Load() {
	case idle:
		return errors.New("the worker has not started")
	case draining:
		return errors.New("the worker drains")
	}
	if p.running.Load() >= int64(p.fetcher.Slots()) || p.fetcher.Phase() == fetch.PhasePaused {
		return nil
	}
	last := p.fetcher.LastFetch()
	if last.IsZero() {
		return errors.New("the worker has not fetched yet")
	}
	if ago := time.Since(last); ago > fetchLimit {
		return fmt.Errorf("the worker last fetched %v ago", ago.Round(time.Second))
	}
	return nil
}
