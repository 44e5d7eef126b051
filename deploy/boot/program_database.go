package boot

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"
	"gorm.io/gorm"

	"github.com/paidui/paidui/deploy/config"
	"github.com/paidui/paidui/tasks"
	"github.com/paidui/paidui/tasks/outbox"
)

// databaseCommands are the subcommands that touch the database only: migrate, and seed where the application has something
// to fill it with.
func databaseCommands(app App, schema *config.Schema) []*cobra.Command {
	list := []*cobra.Command{
		databaseCommand(app, schema, "migrate", "Bring the database's tables up to this version; safe beside running programs",
			func(context.Context, *gorm.DB) (string, error) { return "the database is up to date", nil }),
	}
	if app.Seed == nil {
		return list
	}
	return append(list, databaseCommand(app, schema, "seed", "Migrate, and fill an empty database with a small set of data to try things on",
		func(ctx context.Context, db *gorm.DB) (string, error) {
			if err := useOutbox(db); err != nil {
				return "", err
			}
			seeded, err := app.Seed(ctx, db)
			if !seeded {
				return "the database holds data already: nothing was changed", err
			}
			return "the database is filled", err
		}))
}

// databaseCommand migrates the database, does work on it, and says what that did.
func databaseCommand(app App, schema *config.Schema, name, short string, work func(context.Context, *gorm.DB) (done string, err error)) *cobra.Command {
	cmd := &cobra.Command{Use: name, Short: short, Args: cobra.NoArgs}
	SetSettings(cmd, schema.Help(config.Migrate))
	schema.AddFlags(config.Migrate, cmd.Flags())
	cmd.RunE = withConfig(schema, config.Migrate, func(ctx context.Context, cfg config.Config) error {
		say := func(text string) error {
			_, err := fmt.Fprintln(cmd.OutOrStdout(), text)
			return err
		}
		if err := app.checkDatabase(cfg); err != nil {
			return err
		}
		if cfg.DatabaseURL == "" {
			return say("there is nothing to do: " + databaseSetting + " is set to nothing")
		}
		return withDatabase(ctx, app, cfg, func(db *gorm.DB) error {
			done, err := work(ctx, db)
			if err != nil {
				return err
			}
			return say(done)
		})
	})
	return cmd
}

// useOutbox lets tasks commit with the database's data. They are sent by programs that have a broker.
func useOutbox(db *gorm.DB) error {
	ob, err := outbox.New(db, tasks.NewClient(nil), outbox.Options{})
	if err != nil {
		return err
	}
	return db.Use(ob)
}

// withDatabase opens and migrates the database, and closes it after f.
func withDatabase(ctx context.Context, app App, cfg config.Config, f func(*gorm.DB) error) error {
	logger, _, err := newLogger(string(config.Migrate), cfg)
	if err != nil {
		return err
	}
	stores, err := openStores(ctx, storeOptions{
		databaseURL:    cfg.DatabaseURL.Reveal(),
		createDatabase: true,
		wait:           cfg.StartupWait,
		logger:         logger,
	})
	if err != nil {
		return err
	}
	err = app.Migrate(ctx, stores.DB)
	if err == nil {
		err = f(stores.DB)
	}
	return errors.Join(err, stores.close())
}
