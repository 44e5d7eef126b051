package boot

import (
	"context"
	"fmt"

	"github.com/paidui/paidui/deploy/config"
	"github.com/paidui/paidui/models"
	"github.com/paidui/paidui/tasks"
	"github.com/paidui/paidui/tasks/metrics"
	"github.com/paidui/paidui/tasks/outbox"
	"github.com/paidui/paidui/worker/pool"
)

// Worker runs a worker until ctx ends. Where there is a database it waits until an API, or migrate, has migrated it.
func Worker(ctx context.Context, app App, cfg config.Config) error {
	CollectLess()
	return boot{
		app:      app,
		program:  config.Worker,
		config:   cfg,
		database: true,
		embedded: &embeddedRedis{},
		assemble: func(ctx context.Context, e *Env) error {
			if err := e.open(ctx); err != nil {
				return err
			}
			if err := e.awaitSchema(ctx); err != nil {
				return err
			}
			if err := e.addWorker(); err != nil {
				return err
			}
			e.addShared()
			return nil
		},
	}.run(ctx)
}

func (e *Env) addWorker() error {
	counts, err := metrics.NewTasks(e.Registry)
	if err != nil {
		return err
	}
	if err := e.Registry.Register(metrics.NewQueues(e.Stores.Broker, e.Logger)); err != nil {
		return fmt.Errorf("register queue metrics: %w", err)
	}
	if e.Stores.DB != nil {
		if err := e.Registry.Register(outbox.NewBacklog(e.Stores.DB, e.Logger)); err != nil {
			return fmt.Errorf("register outbox metrics: %w", err)
		}
	}
	mux := tasks.NewMux(tasks.MuxOptions{
		Logger: e.Logger, Metrics: counts, Client: e.Client, History: e.recorder(), StoreAway: models.IsAway,
		Version: Version(),
	})
	e.app.bind(mux, e.deps())
	if err := mux.Verify(e.Catalog); err != nil {
		return fmt.Errorf("App.Bind: %w", err)
	}
	p, err := pool.New(e.Stores.Broker, mux, pool.Config{
		Name:        e.Config.WorkerName,
		Queues:      e.Config.Queues,
		Concurrency: e.Config.Concurrency,
		Drain:       e.Config.DrainTimeout,
		Logger:      e.Logger,
		Version:     Version(),
		LogLevel:    e.level,
	})
	if err != nil {
		return err
	}
	e.checks["worker"] = p.Ready
	e.group.Add("worker", func(ctx context.Context) error {
		err := p.Run(ctx)
		if err != nil || ctx.Err() != nil {
			return err
		}
		if e.program == config.Worker { // an operator has drained it
			e.group.End()
		} else {
			e.Logger.WarnContext(ctx, "the worker has drained; the other parts of this program go on without one")
		}
		<-ctx.Done()
		return nil
	})
	return e.addSettler()
}
