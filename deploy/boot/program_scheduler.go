package boot

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"gorm.io/gorm"

	"github.com/paidui/paidui/deploy/config"
	"github.com/paidui/paidui/models"
	"github.com/paidui/paidui/scheduler/beat"
	"github.com/paidui/paidui/tasks/outbox"
	"github.com/paidui/paidui/tasks/schedule"
	"github.com/paidui/paidui/tasks/ticks"
)

// Scheduler runs a scheduler until ctx ends. It needs the broker only, and with a durable schedule the database, too: then
// it waits until an API has migrated that. Otherwise it opens the database, where there is one, when that answers, for the
// schedules that operators make and change.
func Scheduler(ctx context.Context, app App, cfg config.Config) error {
	return boot{
		app:      app,
		program:  config.Scheduler,
		config:   cfg,
		embedded: &embeddedRedis{},
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
	path, content, err := e.app.schedules(e.Config)
	if err != nil {
		return false, fmt.Errorf("%s: %w", schedulesSetting, err)
	}
	if path == "" && (e.app.Schedules != nil || e.app.SchedulesFile != "") {
		e.Logger.Info("the schedules that the program brings are in force: no file is named", "setting", schedulesSetting,
			"sought", e.app.SchedulesFile)
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
		return false, fmt.Errorf("%s: %w", schedulesSetting, err)
	}
	if durable && e.Config.DatabaseURL == "" {
		return false, fmt.Errorf("%s: a schedule is durable, and %s is set to nothing", schedulesSetting, databaseSetting)
	}
	if durable && e.Stores.DB == nil {
		if err := e.openLateDatabase(ctx); err != nil {
			return false, err
		}
	}
	switch {
	case e.Stores.DB != nil:
		opt.Ledger, opt.Table = ticks.NewLedger(e.Stores.DB), schedule.NewTable(e.Stores.DB)
	case e.Config.DatabaseURL != "":
		opt.Table = schedule.NewLateTable(e.tryDatabase)
	}
	b, err := beat.New(opt)
	if err != nil {
		return false, fmt.Errorf("%s: %w", schedulesSetting, err)
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
	return e.awaitSchema(ctx)
}

// tryDatabase opens the database once, for a scheduler that runs without it until then. Only one call may be under way.
func (e *Env) tryDatabase(ctx context.Context) (*gorm.DB, error) {
	db, err := models.Open(ctx, e.Config.DatabaseURL.Reveal(), models.Options{Logger: e.Logger})
	if err != nil {
		return nil, err
	}
	ready := func() error {
		if err := e.app.migrated(ctx, db); err != nil {
			return err
		}
		ob, err := outbox.New(db, e.Client, outbox.Options{Logger: e.Logger}) // others send what it takes
		if err != nil {
			return err
		}
		return db.Use(ob)
	}
	if err := ready(); err != nil {
		return nil, errors.Join(err, models.Close(db))
	}
	e.closers = append(e.closers, func() error { return models.Close(db) })
	return db, nil
}

// awaitSchema waits until an API has migrated the database, where there is one, and opens its outbox.
func (e *Env) awaitSchema(ctx context.Context) error {
	if e.Stores.DB == nil {
		return nil
	}
	migrated := func(ctx context.Context) error { return e.app.migrated(ctx, e.Stores.DB) }
	if err := WaitFor(ctx, e.Logger, "schema", e.Config.StartupWait, migrated); err != nil {
		return err
	}
	return e.openOutbox()
}

const schedulesSetting = "PAIDUI_SCHEDULES"

// DefaultSchedules are those of a program that brings none: Paidui's housekeeping, which one that brings some has among them.
// Without a database there is no history to prune.
func DefaultSchedules(database bool) []byte {
	text := "schedules:\n  - {name: queue-check, task: queue.check, every: 5m}\n"
	if database {
		text += "  - {name: history-prune, task: history.prune, cron: \"0 4 * * *\"}\n"
	}
	return []byte(text)
}

// schedules is the file to read, or without one what it would hold. A file that is named has to exist.
func (a App) schedules(cfg config.Config) (path string, content []byte, err error) {
	if cfg.Schedules != "" {
		return cfg.Schedules, nil, nil
	}
	if a.SchedulesFile != "" {
		_, err := os.Stat(a.SchedulesFile)
		if !errors.Is(err, fs.ErrNotExist) {
			return a.SchedulesFile, nil, err
		}
	}
	if a.Schedules != nil {
		return "", a.Schedules, nil
	}
	return "", DefaultSchedules(cfg.DatabaseURL != ""), nil
}
