package models

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"

	"github.com/pressly/goose/v3"
	"gorm.io/gorm"
)

//go:embed migrations/*.sql
var migrationFiles embed.FS

// ErrNotMigrated says that the database lacks tables or migrations that this program needs.
var ErrNotMigrated = errors.New("the database is not migrated: start an api, or run api migrate")

// Migrate brings the tables up to date; with nothing to do it changes nothing. Any number of programs may call it
// at once: one works while the others wait, as long as ctx lasts. With ErrForeign, which says the table's name, another
// program has made a table that Migrate would make: then nothing was changed.
func Migrate(ctx context.Context, db *gorm.DB) error {
	if db.Name() == "sqlite" {
		return migrateSQLite(ctx, db)
	}
	migrations, pool, err := mysqlMigrations(db)
	if err != nil {
		return err
	}
	// goose's own locking begins only after it has made its table and filled it, in two steps that another program may
	// come between.
	lock := mysqlLock{name: "migrate", waiting: func(name string) {
		db.Logger.Info(ctx, "waiting for another program that holds the %s lock", name)
	}}
	conn, err := pool.Conn(ctx)
	if err != nil {
		return fmt.Errorf("migrating the database: %w", err)
	}
	defer conn.Close()
	return lock.hold(ctx, conn, func() error {
		if err := refuseForeign(ctx, db); err != nil {
			return err
		}
		done, err := migrations.Up(ctx)
		for _, one := range done {
			db.Logger.Info(ctx, "migrated to version %d in %s", one.Source.Version, one.Duration)
		}
		if err != nil {
			return fmt.Errorf("migrating the database: %w", err)
		}
		return checkTables(ctx, db)
	})
}

// Migrated is for a program that leaves migrating to another: it returns nil when Migrate has nothing left to do,
// or when a newer program has migrated further, and ErrNotMigrated before that. It only reads.
func Migrated(ctx context.Context, db *gorm.DB) error {
	if db.Name() == "sqlite" {
		migrator := db.WithContext(ctx).Migrator()
		for _, model := range All() {
			if !migrator.HasTable(model) {
				return errors.Join(ErrNotMigrated, ctx.Err())
			}
		}
		return checkTables(ctx, db)
	}
	migrations, pool, err := mysqlMigrations(db)
	if err != nil {
		return err
	}
	sources := migrations.ListSources()
	want := sources[len(sources)-1].Version
	var have int64
	// Past GORM, whose log would call the missing table of the first tries a failure.
	err = pool.QueryRowContext(ctx, "SELECT COALESCE(MAX(version_id), 0) FROM "+goose.DefaultTablename+" WHERE is_applied").Scan(&have)
	if err != nil && !isMySQL(err, errNoSuchTable) {
		return fmt.Errorf("reading the version of the database: %w", err)
	}
	if have < want {
		return fmt.Errorf("%w: it has version %d, this program needs %d", ErrNotMigrated, have, want)
	}
	return checkTables(ctx, db)
}

func mysqlMigrations(db *gorm.DB) (*goose.Provider, *sql.DB, error) {
	pool, err := db.DB()
	if err != nil {
		return nil, nil, err
	}
	files, err := fs.Sub(migrationFiles, "migrations")
	if err != nil {
		return nil, nil, err
	}
	migrations, err := goose.NewProvider(goose.DialectMySQL, pool, files, goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return nil, nil, fmt.Errorf("reading the migrations: %w", err)
	}
	return migrations, pool, nil
}

// migrateSQLite does all in one transaction, whose lock makes others wait.
func migrateSQLite(ctx context.Context, db *gorm.DB) error {
	err := db.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		if err := refuseForeign(ctx, tx); err != nil {
			return err
		}
		// As migration 2 does: the first form of these tables was never written to, and AutoMigrate drops no column.
		for _, old := range []struct{ table, lacks string }{{"outbox", "body"}, {"task_records", "version"}} {
			m := tx.Migrator()
			if !m.HasTable(old.table) || m.HasColumn(old.table, old.lacks) {
				continue
			}
			if err := m.DropTable(old.table); err != nil {
				return err
			}
		}
		if err := tx.AutoMigrate(All()...); err != nil {
			return err
		}
		return checkTables(ctx, tx)
	})
	if err != nil {
		return fmt.Errorf("migrating the database: %w", err)
	}
	return nil
}
