package main

import (
	"context"
	"errors"
	"os"
	"time"

	"github.com/hibiken/asynq"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/cobra"

	"github.com/paidui/paidui/deploy/boot"
	"github.com/paidui/paidui/models"
	"github.com/paidui/paidui/tasks"
	"github.com/paidui/paidui/tasks/broker"
	"github.com/paidui/paidui/tasks/metrics"
	"github.com/paidui/paidui/tasks/seckill"
	"github.com/paidui/paidui/worker/pool"
)

// singleCommand is a worker of seckill orders that gives each a transaction of its own.
func singleCommand() *cobra.Command {
	var redis, database, logLevel string
	cmd := &cobra.Command{Use: roleSingle, Args: cobra.NoArgs}
	cmd.Flags().StringVar(&redis, "redis", "", "the broker's URL")
	cmd.Flags().StringVar(&database, "database", "", "the shop's URL")
	cmd.Flags().StringVar(&logLevel, "log-level", "warn", "least level that is logged")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return runSingle(cmd.Context(), redis, database, logLevel) }
	return cmd
}

func runSingle(ctx context.Context, redis, database, logLevel string) (err error) {
	logger, err := boot.NewLogger(os.Stderr, "json", logLevel)
	if err != nil {
		return err
	}
	db, err := models.Open(ctx, database, models.Options{Logger: logger})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, models.Close(db)) }()
	b, err := broker.Open(ctx, redis, broker.Options{Logger: logger})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.Close()) }()
	counts, err := metrics.NewTasks(prometheus.NewRegistry())
	if err != nil {
		return err
	}
	mux := tasks.NewMux(tasks.MuxOptions{Logger: logger, Metrics: counts})
	seckill.Bind(mux, db, b.Redis(), tasks.NewClient(b), seckill.BatchSize(1))
	p, err := pool.New(b, mux, pool.Config{
		Queues: map[string]int{"seckill": 1}, Concurrency: seckillSlots, Drain: time.Second, Logger: logger,
	})
	if err != nil {
		return err
	}
	return p.Run(ctx)
}

// startSingle runs such a worker on the shop.
func (l *lab) startSingle() (*child, error) {
	c, err := l.start(roleSingle, []string{
		"--redis", l.redisURL(brokerDB), "--database", l.database, "--log-level", l.logLevel,
	}, nil, nil)
	if err != nil {
		return nil, err
	}
	return c, l.awaitWorker(c)
}

// awaitWorker waits until a worker shows itself in the broker.
func (l *lab) awaitWorker(c *child) error {
	redis, err := asynq.ParseRedisURI(l.redisURL(brokerDB))
	if err != nil {
		return err
	}
	inspector := asynq.NewInspector(redis)
	defer inspector.Close()
	return c.process.Await(childPatience, func() error {
		servers, err := inspector.Servers()
		if err == nil && len(servers) == 0 {
			err = errors.New("no worker is in the broker's list")
		}
		return err
	})
}
