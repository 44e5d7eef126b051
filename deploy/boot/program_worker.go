package boot

import (
	"context"
	"errors"
	"fmt"

	"github.com/paidui/paidui/deploy/config"
	"github.com/paidui/paidui/models"
	"github.com/paidui/paidui/tasks"
	"github.com/paidui/paidui/tasks/catalog"
	"github.com/paidui/paidui/tasks/history"
	"github.com/paidui/paidui/tasks/metrics"
	"github.com/paidui/paidui/tasks/outbox"
	"github.com/paidui/paidui/tasks/sms"
	"github.com/paidui/paidui/worker/pool"
)

// Worker runs a worker until ctx ends. It waits until an API has migrated the database.
func Worker(ctx context.Context, cfg config.Config) error {
	CollectLess()
	return boot{
		program:  config.Worker,
		config:   cfg,
		database: true,
		assemble: func(ctx context.Context, e *Env) error {
			if err := e.awaitSchema(ctx); err != nil {
				return err
			}
			if err := errors.Join(e.openOutbox(), e.openFeatures()); err != nil {
				return err
			}
			if err := e.addWorker(); err != nil {
				return err
			}
			e.addCaches()
			e.addOutbox()
			return nil
		},
	}.run(ctx)
}

func (e *Env) addWorker() error {
	sender, err := e.sender()
	if err != nil {
		return err
	}
	counts, err := metrics.NewTasks(e.Registry)
	if err != nil {
		return err
	}
	if err := e.Registry.Register(metrics.NewQueues(e.Stores.Broker, e.Logger)); err != nil {
		return fmt.Errorf("register queue metrics: %w", err)
	}
	if err := e.Registry.Register(outbox.NewBacklog(e.Stores.DB, e.Logger)); err != nil {
		return fmt.Errorf("register outbox metrics: %w", err)
	}
	mux := tasks.NewMux(tasks.MuxOptions{
		Logger: e.Logger, Metrics: counts, Client: e.Client, History: e.recorder(), StoreAway: models.IsAway,
	})
	records, err := history.NewStore(e.Stores.DB, e.Client)
	if err != nil {
		return err
	}
	catalog.Bind(mux, catalog.Deps{
		DB:       e.Stores.DB,
		Cache:    e.Stores.Cache,
		Broker:   e.Stores.Broker.Redis(),
		Client:   e.Client,
		Sender:   sender,
		History:  records,
		Features: e.features,
	})
	if err := mux.Verify(e.Catalog); err != nil {
		return err
	}
	p, err := pool.New(e.Stores.Broker, mux, pool.Config{
		Name:        e.Config.WorkerName,
		Queues:      e.Config.Queues,
		Concurrency: e.Config.Concurrency,
		Drain:       e.Config.DrainTimeout,
		Logger:      e.Logger,
	})
	if err != nil {
		return err
	}
	e.checks["worker"] = p.Ready
	e.group.Add("worker", p.Run)
	return e.addSettler(records)
}

// mailbox is where codes stay that are not sent; nil when they are.
func (e *Env) mailbox() *sms.Mailbox {
	if e.Config.SMSProvider != config.SMSOutbox {
		return nil
	}
	return sms.NewMailbox(e.Stores.DB)
}

func (e *Env) sender() (sms.Sender, error) {
	if box := e.mailbox(); box != nil {
		return box, nil
	}
	cfg := e.Config
	return sms.NewTencent(sms.TencentConfig{
		SecretID:   cfg.TencentSecretID.Reveal(),
		SecretKey:  cfg.TencentSecretKey.Reveal(),
		AppID:      cfg.TencentAppID,
		SignName:   cfg.TencentSignName,
		TemplateID: cfg.TencentTemplateID,
		Region:     cfg.TencentRegion,
		Endpoint:   cfg.TencentEndpoint,
	})
}
