package boot

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"gorm.io/gorm"

	"github.com/paidui/paidui/deploy/config"
	"github.com/paidui/paidui/models/shop"
	"github.com/paidui/paidui/tasks"
	"github.com/paidui/paidui/tasks/catalog"
	"github.com/paidui/paidui/tasks/outbox"
)

// DatabaseCommands are the subcommands that touch the database only: migrate and seed.
func DatabaseCommands() []*cobra.Command {
	return []*cobra.Command{
		databaseCommand("migrate", "Bring the database's tables up to this version; safe beside running programs",
			func(context.Context, *gorm.DB) (string, error) { return "the database is up to date", nil }),
		databaseCommand("seed", "Migrate, and fill an empty database with a small set of data to try things on",
			func(ctx context.Context, db *gorm.DB) (string, error) {
				if err := useOutbox(db); err != nil {
					return "", err
				}
				seeded, err := catalog.Seed(ctx, db, time.Now())
				if !seeded {
					return "the database holds data already: nothing was changed", err
				}
				return "the database is filled", err
			}),
	}
}

// databaseCommand migrates the database, does work on it, and says what that did.
func databaseCommand(name, short string, work func(context.Context, *gorm.DB) (done string, err error)) *cobra.Command {
	cmd := &cobra.Command{Use: name, Short: short, Args: cobra.NoArgs}
	SetSettings(cmd, config.Help(config.Migrate))
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return withConfig(config.Migrate, func(ctx context.Context, cfg config.Config) error {
			return withDatabase(ctx, cfg, func(db *gorm.DB) error {
				done, err := work(ctx, db)
				if err != nil {
					return err
				}
				_, err = fmt.Fprintln(cmd.OutOrStdout(), done)
				return err
			})
		})(cmd, args)
	}
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
func withDatabase(ctx context.Context, cfg config.Config, f func(*gorm.DB) error) error {
	logger, err := newLogger(config.Migrate, cfg)
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
	err = shop.Migrate(ctx, stores.DB)
	if err == nil {
		err = f(stores.DB)
	}
	return errors.Join(err, stores.close())
}
