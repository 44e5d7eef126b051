package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"time"

	"github.com/hibiken/asynq"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/paidui/paidui/deploy/boot"
	"github.com/paidui/paidui/tasks"
	"github.com/paidui/paidui/tasks/broker"
	"github.com/paidui/paidui/tasks/metrics"
	"github.com/paidui/paidui/worker/pool"
)

type args struct {
	N int `json:"n"`
}

var (
	noop = tasks.Define[args, struct{}]("bench.noop", tasks.Retention(0))
	kept = tasks.Define[args, int]("bench.kept", tasks.Retention(time.Hour))
)

// paidui is Paidui's side, in this process, with the metrics that a worker has in real life.
type paidui struct {
	kind   taskKind
	broker *broker.Broker
	client *tasks.Client
	logger *slog.Logger
	record tasks.Recorder // of the tasks that it enqueues and runs; nil keeps no history
}

func openPaidui(ctx context.Context, l *lab, db int, kind taskKind) (queue, error) {
	return newPaidui(ctx, l.redisURL(db), l.logLevel, kind)
}

func newPaidui(ctx context.Context, url, logLevel string, kind taskKind) (*paidui, error) {
	logger, err := boot.NewLogger(os.Stderr, "json", logLevel)
	if err != nil {
		return nil, err
	}
	b, err := broker.Open(ctx, url, broker.Options{Logger: logger})
	if err != nil {
		return nil, err
	}
	return &paidui{kind: kind, broker: b, client: tasks.NewClient(b), logger: logger}, nil
}

// keep has r take down what is enqueued and run from now on; nil is nothing.
func (p *paidui) keep(r tasks.Recorder) {
	p.record, p.client = r, tasks.NewClient(p.broker, tasks.ClientOptions{History: r})
}

func (p *paidui) enqueue(ctx context.Context, n int, due time.Time) error {
	var opts []tasks.Option
	if !due.IsZero() {
		opts = append(opts, tasks.ETA(due))
	}
	var err error
	if p.kind == withResult {
		_, err = kept.Enqueue(ctx, p.client, args{n}, opts...)
	} else {
		_, err = noop.Enqueue(ctx, p.client, args{n}, opts...)
	}
	return err
}

func (p *paidui) serve(handle func(n int)) (stop func() error, err error) {
	return p.serveWith(slots, handle)
}

func (p *paidui) serveWith(concurrency int, handle func(n int)) (stop func() error, err error) {
	counts, err := metrics.NewTasks(prometheus.NewRegistry())
	if err != nil {
		return nil, err
	}
	mux := tasks.NewMux(tasks.MuxOptions{Logger: p.logger, Metrics: counts, History: p.record})
	tasks.Handle(mux, noop, func(_ context.Context, a args) (struct{}, error) { handle(a.N); return struct{}{}, nil })
	tasks.Handle(mux, kept, func(_ context.Context, a args) (int, error) { handle(a.N); return a.N, nil })
	workers, err := pool.New(p.broker, mux, pool.Config{
		Queues: map[string]int{"default": 1}, Concurrency: concurrency, Drain: 5 * time.Second, Logger: p.logger,
	})
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- workers.Run(ctx) }()
	return func() error {
		cancel()
		return <-ended
	}, nil
}

func (p *paidui) left() (int, error) {
	return left(asynq.NewInspectorFromRedisClient(p.broker.Redis()))
}

func (p *paidui) close() error { return p.broker.Close() }

// left counts the tasks of the queue "default" that are neither gone nor kept with a result.
func left(inspector *asynq.Inspector) (int, error) {
	queues, err := inspector.Queues()
	if err != nil {
		return 0, fmt.Errorf("list the queues: %w", err)
	}
	if !slices.Contains(queues, "default") {
		return 0, nil
	}
	info, err := inspector.GetQueueInfo("default")
	if err != nil {
		return 0, fmt.Errorf("look into the queue: %w", err)
	}
	return info.Size - info.Completed, nil
}
