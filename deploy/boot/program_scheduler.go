package boot

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/paidui/paidui/deploy"
	"github.com/paidui/paidui/deploy/config"
	"github.com/paidui/paidui/models"
	"github.com/paidui/paidui/models/shop"
	"github.com/paidui/paidui/scheduler/beat"
	"github.com/paidui/paidui/tasks/ticks"
)

// Scheduler runs a scheduler until ctx ends. It needs the broker only, and with a durable schedule the database, too: then
// it waits until an API has migrated that.
func Scheduler(ctx context.Context, cfg config.Config) error {
	cfg.CacheURL = ""
	return boot{
		program: config.Scheduler,
		config:  cfg,
		assemble: func(ctx context.Context, e *Env) error {
			durable, err := e.addScheduler(ctx)
			if durable && err == nil {
				e.addOutbox()
			}
			return err
		},
	}.run(ctx)
}

// addScheduler adds a scheduler, and tells whether it has a durable schedule.
func (e *Env) addScheduler(ctx context.Context) (durable bool, err error) {
	path, content, err := schedules(e.Config.Schedules)
	if err != nil {
		return false, fmt.Errorf("PAIDUI_SCHEDULES: %w", err)
	}
	if path == "" {
		e.Logger.Info("the shipped schedules are in force: there is no " + defaultSchedules + " here, and PAIDUI_SCHEDULES names no file")
	}
	opt := beat.Options{
		Path:       path,
		Content:    content,
		Catalog:    e.Catalog,
		Client:     e.Client,
		Redis:      e.Stores.Broker.Redis(),
		Location:   e.Config.Location(),
		Logger:     e.Logger,
		Registerer: e.Registry,
	}
	if durable, err = beat.NeedsDatabase(opt); err != nil {
		return false, fmt.Errorf("PAIDUI_SCHEDULES: %w", err)
	}
	if durable && e.Stores.DB == nil {
		if err := e.openLateDatabase(ctx); err != nil {
			return false, err
		}
	}
	if e.Stores.DB != nil {
		opt.Ledger = ticks.NewLedger(e.Stores.DB)
	}
	b, err := beat.New(opt)
	if err != nil {
		return false, fmt.Errorf("PAIDUI_SCHEDULES: %w", err)
	}
	e.checks["scheduler"] = b.Ready
	e.group.Add("scheduler", b.Run)
	return durable, nil
}

// openLateDatabase opens the database of a program that does without one otherwise, and its outbox.
func (e *Env) openLateDatabase(ctx context.Context) error {
	if err := e.Stores.openDatabase(ctx, storeOptions{
		databaseURL: e.Config.DatabaseURL.Reveal(), wait: e.Config.StartupWait, logger: e.Logger,
	}); err != nil {
		return err
	}
	e.checks["database"] = func(ctx context.Context) error { return models.Ping(ctx, e.Stores.DB) }
	if err := e.awaitSchema(ctx); err != nil {
		return err
	}
	return e.openOutbox()
}

// awaitSchema waits until an API has migrated the database.
func (e *Env) awaitSchema(ctx context.Context) error {
	migrated := func(ctx context.Context) error { return shop.Migrated(ctx, e.Stores.DB) }
	return WaitFor(ctx, e.Logger, "schema", e.Config.StartupWait, migrated)
}

// defaultSchedules is where the file of schedules is sought when the configuration names none.
const defaultSchedules = "deploy/schedules.yaml"

// schedules is the file to read, or without one the content of the shipped file. A file that is named has to exist.
func schedules(named string) (path string, content []byte, err error) {
	if named != "" {
		return named, nil, nil
	}
	_, err = os.Stat(defaultSchedules)
	if errors.Is(err, fs.ErrNotExist) {
		return "", deploy.Schedules(), nil
	}
	return defaultSchedules, nil, err
}
