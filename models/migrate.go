package models

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"path"

	"github.com/pressly/goose/v3"
	"gorm.io/gorm"
)

// ErrNotMigrated says that the database lacks tables or migrations that this program needs.
var ErrNotMigrated = errors.New("the database is not migrated: start an api, or run api migrate")

// Migrations make the tables of one owner: Paidui's own, or an application's beside them. Each owner has a version table
// of its own.
type Migrations struct {
	// Files are SQL in goose's form, NUMBER_name.sql, only ever added to: those in the folder mysql or sqlite, where there is
	// one of the database's kind, else those at the top.
	Files    fs.FS
	Versions string // the table that keeps what was applied; "" is goose_db_version, which is goose's own name
	// Models are GORM models of the tables. SQLite makes the tables of them, and has no versions then. Nil: it runs Files.
	Models []any
	// earlier is called before the first migration, by one program at a time; nil without anything to do.
	earlier func(ctx context.Context, db *gorm.DB) error
}

//go:embed migrations/*.sql
var migrationFiles embed.FS

// own are Paidui's.
func own() Migrations {
	files, err := fs.Sub(migrationFiles, "migrations")
	if err != nil {
		panic(err) // the name is right
	}
	return Migrations{Files: files, Versions: "paidui_versions", Models: All(), earlier: adopt}
}

// Migrate brings Paidui's own tables up to date. See Migrations.Migrate.
func Migrate(ctx context.Context, db *gorm.DB) error { return own().Migrate(ctx, db) }

// Migrated looks at Paidui's own tables. See Migrations.Migrated.
func Migrated(ctx context.Context, db *gorm.DB) error { return own().Migrated(ctx, db) }

// Migrate brings the tables up to date; with nothing to do it changes nothing. Any number of programs may call it
// at once: one works while the others wait, as long as ctx lasts. With ErrForeign, which says the table's name, another
// program has made a table that Migrate would make: then nothing was changed.
func (m Migrations) Migrate(ctx context.Context, db *gorm.DB) error {
	if m.ofModels(db) {
		return m.migrateModels(ctx, db)
	}
	migrations, pool, err := m.provider(db)
	if err != nil {
		return err
	}
	if db.Name() == "sqlite" {
		return m.migrateSQLite(ctx, db, migrations)
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
		if err := m.begin(ctx, db); err != nil {
			return err
		}
		if err := m.up(ctx, db, migrations); err != nil {
			return err
		}
		return m.checkTables(ctx, db)
	})
}

func (m Migrations) up(ctx context.Context, db *gorm.DB, migrations *goose.Provider) error {
	done, err := migrations.Up(ctx)
	for _, one := range done {
		db.Logger.Info(ctx, "migrated %s to version %d in %s", m.versions(), one.Source.Version, one.Duration)
	}
	var partial *goose.PartialError
	if errors.As(err, &partial) {
		return fmt.Errorf("migrating the database: %s: %w", path.Base(partial.Failed.Source.Path), partial.Err)
	}
	if err != nil {
		return fmt.Errorf("migrating the database: %w", err)
	}
	return nil
}

// begin is what comes before the first migration.
func (m Migrations) begin(ctx context.Context, db *gorm.DB) error {
	if m.earlier != nil {
		if err := m.earlier(ctx, db); err != nil {
			return err
		}
	}
	return m.refuseForeign(ctx, db)
}

// Migrated is for a program that leaves migrating to another: it returns nil when Migrate has nothing left to do,
// or when a newer program has migrated further, and ErrNotMigrated before that. It only reads.
func (m Migrations) Migrated(ctx context.Context, db *gorm.DB) error {
	if m.ofModels(db) {
		migrator := db.WithContext(ctx).Migrator()
		for _, model := range m.Models {
			if !migrator.HasTable(model) {
				return errors.Join(ErrNotMigrated, ctx.Err())
			}
		}
		return m.checkTables(ctx, db)
	}
	migrations, _, err := m.provider(db)
	if err != nil {
		return err
	}
	sources := migrations.ListSources()
	want := sources[len(sources)-1].Version
	have, err := m.version(ctx, db)
	if err != nil {
		return err
	}
	if have < want {
		return fmt.Errorf("%w: %s has version %d, this program needs %d", ErrNotMigrated, m.versions(), have, want)
	}
	return m.checkTables(ctx, db)
}

// version is that of the last migration that was applied, or 0.
func (m Migrations) version(ctx context.Context, db *gorm.DB) (last int64, err error) {
	applied, err := m.appliedVersions(ctx, db)
	for version := range applied {
		last = max(last, version)
	}
	return last, err
}

// ofModels tells whether the tables are made of the models.
func (m Migrations) ofModels(db *gorm.DB) bool { return db.Name() == "sqlite" && len(m.Models) > 0 }

func (m Migrations) versions() string {
	if m.Versions == "" {
		return goose.DefaultTablename
	}
	return m.Versions
}

// files are those for the kind of database.
func (m Migrations) files(db *gorm.DB) (fs.FS, error) {
	info, err := fs.Stat(m.Files, db.Name())
	if err != nil || !info.IsDir() {
		return m.Files, nil
	}
	return fs.Sub(m.Files, db.Name())
}

// provider runs the files on the pool.
func (m Migrations) provider(db *gorm.DB) (*goose.Provider, *sql.DB, error) {
	pool, err := db.DB()
	if err != nil {
		return nil, nil, err
	}
	files, err := m.files(db)
	if err != nil {
		return nil, nil, err
	}
	dialect := goose.DialectMySQL
	if db.Name() == "sqlite" {
		dialect = goose.DialectSQLite3
	}
	migrations, err := goose.NewProvider(dialect, pool, files, goose.WithDisableGlobalRegistry(true), goose.WithTableName(m.versions()))
	if errors.Is(err, goose.ErrNoMigrations) {
		err = fmt.Errorf("there is no NUMBER_name.sql for %s", db.Name())
	}
	if err != nil {
		return nil, nil, fmt.Errorf("reading the migrations: %w", err)
	}
	return migrations, pool, nil
}

// migrateSQLite runs the files, each in a transaction whose lock makes others wait. They then find done what they were about
// to do, which fails, and look again.
func (m Migrations) migrateSQLite(ctx context.Context, db *gorm.DB, migrations *goose.Provider) error {
	if err := m.begin(ctx, db); err != nil {
		return err
	}
	for {
		before, err := m.version(ctx, db)
		if err != nil {
			return err
		}
		failed := m.up(ctx, db, migrations)
		if failed == nil {
			return m.checkTables(ctx, db)
		}
		if after, err := m.version(ctx, db); err != nil || after == before {
			return errors.Join(failed, err)
		}
	}
}

// migrateModels does all in one transaction, whose lock makes others wait.
func (m Migrations) migrateModels(ctx context.Context, db *gorm.DB) error {
	err := db.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		if err := m.begin(ctx, tx); err != nil {
			return err
		}
		if err := tx.AutoMigrate(m.Models...); err != nil {
			return err
		}
		return m.checkTables(ctx, tx)
	})
	if err != nil {
		return fmt.Errorf("migrating the database: %w", err)
	}
	return nil
}
