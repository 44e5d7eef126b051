package models_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/paidui/paidui/deploy/testenv"
	"github.com/paidui/paidui/models"
	"github.com/paidui/paidui/models/shop"
)

func TestMigrateAtOnceFromManyPrograms(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, databaseURL string) {
		const programs = 3
		dbs := make([]*gorm.DB, programs)
		for i := range dbs {
			if i > 0 && databaseURL == "sqlite://:memory:" {
				dbs[i] = dbs[0] // memory is private to a program
				continue
			}
			dbs[i] = open(t, databaseURL, models.Options{})
		}
		require.NoError(t, errors.Join(together(programs, func(i int) error {
			return shop.Migrate(t.Context(), dbs[i])
		})...))
		for _, model := range allModels() {
			require.True(t, dbs[0].Migrator().HasTable(model), "%T", model)
		}
	})
}

// TestMigrateAtOnceAgainAndAgain gives the programs many chances to come between each other's first steps.
func TestMigrateAtOnceAgainAndAgain(t *testing.T) {
	t.Parallel()
	const programs, rounds = 4, 8
	for range rounds {
		databaseURL := testenv.MySQL(t)
		require.NoError(t, errors.Join(together(programs, func(int) error {
			return shop.Migrate(t.Context(), open(t, databaseURL, models.Options{}))
		})...))
	}
}

func TestMigrateTwiceKeepsTheRows(t *testing.T) {
	t.Parallel()
	eachMigrated(t, func(t *testing.T, db *gorm.DB) {
		require.NoError(t, db.Create(&shop.Goods{Name: "茶", Stock: 3, StartsAt: opening, EndsAt: opening}).Error)
		before := schemaOf(t, db)
		require.NoError(t, shop.Migrate(t.Context(), db))
		require.Equal(t, before, schemaOf(t, db))
		var goods shop.Goods
		require.NoError(t, db.First(&goods, "name = ?", "茶").Error)
		require.EqualValues(t, 3, goods.Stock)
	})
}

func TestMigrateResumesAfterAnInterruption(t *testing.T) {
	t.Parallel()
	db := open(t, testenv.MySQL(t), models.Options{})
	require.NoError(t, shop.Migrate(t.Context(), db))
	whole := schemaOf(t, db)
	require.NoError(t, db.Exec("DROP TABLE paidui_outbox, sms_messages").Error)
	require.NoError(t, db.Exec("DELETE FROM goose_db_version WHERE version_id > 0").Error)
	require.NoError(t, db.Exec("DELETE FROM paidui_versions WHERE version_id > 0").Error)
	require.ErrorContains(t, shop.Migrated(t.Context(), db), "goose_db_version has version 0")
	require.ErrorContains(t, models.Migrated(t.Context(), db), "paidui_versions has version 0")
	require.NoError(t, shop.Migrate(t.Context(), db))
	require.Equal(t, whole, schemaOf(t, db))
}

// TestMigrationsAreOnlyAdded: a database that has the last one refuses one with a lower number. The shop has no 5.
func TestMigrationsAreOnlyAdded(t *testing.T) {
	t.Parallel()
	for folder, landed := range map[string][]string{
		"migrations":      {"00001_tables", "00002_audit_log"},
		"shop/migrations": {"00001_tables", "00002_history", "00003_bundles", "00004_articles_and_outbox", "00006_bundle_filters", "00007_schedule_ticks"},
	} {
		files, err := filepath.Glob(folder + "/*.sql")
		require.NoError(t, err)
		var names []string
		for _, file := range files {
			names = append(names, strings.TrimSuffix(filepath.Base(file), ".sql"))
		}
		require.GreaterOrEqual(t, len(names), len(landed))
		require.Equal(t, landed, names[:len(landed)])
	}
}

// TestMigrateFromTheFirstVersion brings a database along that the first build made.
func TestMigrateFromTheFirstVersion(t *testing.T) {
	t.Parallel()
	db := open(t, testenv.MySQL(t), models.Options{})
	require.NoError(t, shop.Migrate(t.Context(), db))
	whole := schemaOf(t, db)
	require.NoError(t, db.Create(&shop.Goods{Name: "茶", Stock: 3, StartsAt: opening, EndsAt: opening}).Error)
	for _, statement := range []string{
		"DROP TABLE paidui_outbox, paidui_task_records, paidui_task_tags, paidui_task_effects, paidui_task_bundles, paidui_schedule_ticks, paidui_versions",
		"CREATE TABLE task_records (id integer PRIMARY KEY, task_id varchar(128) NOT NULL, task text, queue text, state text, args text," +
			" result text, error text, worker text, retries integer, created_at datetime, started_at datetime, finished_at datetime)",
		"CREATE TABLE outbox (id integer PRIMARY KEY, task_id text, task text, args text NOT NULL, options text NOT NULL, created_at datetime)",
		"DELETE FROM goose_db_version WHERE version_id > 1",
	} {
		require.NoError(t, db.Exec(statement).Error)
	}
	require.ErrorIs(t, shop.Migrated(t.Context(), db), models.ErrNotMigrated)
	require.NoError(t, shop.Migrate(t.Context(), db))
	require.Equal(t, whole, schemaOf(t, db))
	require.NoError(t, db.First(&shop.Goods{}, "name = ?", "茶").Error, "the other tables keep their rows")
}

// TestTablesWithoutThePrefixGetIt: builds before the prefix had the same tables, by other names.
func TestTablesWithoutThePrefixGetIt(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, databaseURL string) {
		db := open(t, databaseURL, models.Options{})
		require.NoError(t, shop.Migrate(t.Context(), db))
		whole := schemaOf(t, db)
		require.NoError(t, db.Create(&models.TaskEffect{TaskID: "kept"}).Error)
		require.NoError(t, db.Create(&models.OutboxRow{TaskID: "kept", Task: "a.b", Body: "{}"}).Error)
		tables := []string{"task_records", "task_bundles", "task_tags", "task_effects", "outbox", "schedule_ticks"}
		for _, left := range [][]string{tables, tables[3:]} { // all of them; and those that a program had left when it died
			for _, table := range left {
				require.NoError(t, db.Migrator().RenameTable("paidui_"+table, table))
			}
			if db.Name() != "sqlite" {
				require.NoError(t, db.Exec("DROP TABLE paidui_versions").Error)
			}
			require.ErrorIs(t, shop.Migrated(t.Context(), db), models.ErrNotMigrated)
			require.NoError(t, shop.Migrate(t.Context(), db))
			require.Equal(t, whole, schemaOf(t, db))
			require.NoError(t, db.First(&models.TaskEffect{}, "task_id = 'kept'").Error)
			require.NoError(t, db.First(&models.OutboxRow{}, "task_id = 'kept'").Error)
			for _, table := range tables {
				require.False(t, db.Migrator().HasTable(table), table)
			}
		}
	})
}

// TestPaiduisTablesStandBesideAnothersOfTheSameNames: in a database of a program that has users, orders, an outbox of its
// own, and versions of its own in goose's table.
func TestPaiduisTablesStandBesideAnothersOfTheSameNames(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, databaseURL string) {
		db := open(t, databaseURL, models.Options{})
		theirs := []string{"users", "orders", "outbox", "task_records", "goose_db_version"}
		for _, table := range theirs {
			require.NoError(t, db.Exec("CREATE TABLE "+table+" (id integer PRIMARY KEY, version_id bigint, is_applied boolean)").Error)
			require.NoError(t, db.Exec("INSERT INTO "+table+" VALUES (1, 20250101000000, TRUE)").Error)
		}
		require.NoError(t, models.Migrate(t.Context(), db))
		require.NoError(t, models.Migrated(t.Context(), db))
		require.NoError(t, models.Migrate(t.Context(), db))
		found, err := db.Migrator().GetTables()
		require.NoError(t, err)
		for _, table := range found {
			if strings.HasPrefix(table, "paidui_") || table == "sqlite_sequence" {
				continue
			}
			require.Contains(t, theirs, table, "only theirs have no prefix")
			columns, err := db.Migrator().ColumnTypes(table)
			require.NoError(t, err)
			require.Len(t, columns, 3)
			var rows int64
			require.NoError(t, db.Table(table).Where("version_id = 20250101000000").Count(&rows).Error)
			require.EqualValues(t, 1, rows)
		}
	})
}

func TestMigratedTellsWhetherTheTablesAreThere(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, databaseURL string) {
		logger, logged := logTo()
		db := open(t, databaseURL, models.Options{Logger: logger})
		err := shop.Migrated(t.Context(), db)
		require.ErrorIs(t, err, models.ErrNotMigrated)
		require.ErrorContains(t, err, "api migrate")
		require.NotContains(t, logged(), "WARN", "asking is no failure")
		require.NoError(t, shop.Migrate(t.Context(), db))
		require.NoError(t, shop.Migrated(t.Context(), db))

		ended, cancel := context.WithCancel(t.Context())
		cancel()
		require.ErrorIs(t, shop.Migrated(ended, db), context.Canceled)
	})
}

// TestMigrateBesideANewerProgram is a replica of the old version that restarts during a roll-out.
func TestMigrateBesideANewerProgram(t *testing.T) {
	t.Parallel()
	db := open(t, testenv.MySQL(t), models.Options{})
	require.NoError(t, shop.Migrate(t.Context(), db))
	require.NoError(t, db.Exec("INSERT INTO goose_db_version (version_id, is_applied) VALUES (99999, TRUE)").Error)
	require.NoError(t, db.Exec("INSERT INTO paidui_versions (version_id, is_applied) VALUES (99999, TRUE)").Error)
	require.NoError(t, shop.Migrated(t.Context(), db))
	require.NoError(t, shop.Migrate(t.Context(), db))
}

// TestTheAuditLogComesBesideABuildWithoutIt: the build before had the first migration alone, and runs on.
func TestTheAuditLogComesBesideABuildWithoutIt(t *testing.T) {
	t.Parallel()
	db := open(t, testenv.MySQL(t), models.Options{})
	first, err := os.ReadFile("migrations/00001_tables.sql")
	require.NoError(t, err)
	before := models.Migrations{Files: fstest.MapFS{"00001_tables.sql": {Data: first}}, Versions: "paidui_versions"}
	require.NoError(t, before.Migrate(t.Context(), db))
	require.NoError(t, db.Create(&models.TaskEffect{TaskID: "kept"}).Error)
	require.ErrorIs(t, models.Migrated(t.Context(), db), models.ErrNotMigrated)
	require.NoError(t, models.Migrate(t.Context(), db))
	require.NoError(t, models.Migrated(t.Context(), db))
	require.NoError(t, db.Create(&models.AuditRecord{At: opening, What: "POST /v1/tasks"}).Error)
	require.NoError(t, before.Migrated(t.Context(), db), "it starts again")
	require.NoError(t, before.Migrate(t.Context(), db))
	require.NoError(t, db.First(&models.TaskEffect{}, "task_id = 'kept'").Error)
	require.NoError(t, db.First(&models.AuditRecord{}, "what = 'POST /v1/tasks'").Error)
}

func TestMigrateWaitsForTheLockAsLongAsItMay(t *testing.T) {
	t.Parallel()
	databaseURL := testenv.MySQL(t)
	holder := open(t, databaseURL, models.Options{})
	logger, logged := logTo()
	db := open(t, databaseURL, models.Options{Logger: logger})

	err := holder.Connection(func(conn *gorm.DB) error {
		var got int
		if err := conn.Raw("SELECT GET_LOCK(CONCAT('paidui:migrate:', LEFT(SHA2(DATABASE(), 256), 40)), 0)").Scan(&got).Error; err != nil {
			return err
		}
		require.Equal(t, 1, got)
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		require.ErrorIs(t, shop.Migrate(ctx, db), context.DeadlineExceeded)

		// The lock names the database: another one on the same server is not kept waiting.
		other := open(t, testenv.MySQL(t), models.Options{})
		require.NoError(t, shop.Migrate(t.Context(), other))

		migrated := make(chan error, 1)
		go func() { migrated <- shop.Migrate(t.Context(), db) }()
		require.Eventually(t, func() bool { return strings.Contains(logged(), "waiting for another program") },
			20*time.Second, 20*time.Millisecond)
		if err := conn.Exec("SELECT RELEASE_ALL_LOCKS()").Error; err != nil {
			return err
		}
		return <-migrated
	})
	require.NoError(t, err)
	require.Contains(t, logged(), "migrated goose_db_version to version 1")
}

// TestMigrationsOfAnApplication runs SQL files on both kinds of database: in a folder for each, and of one text for both.
func TestMigrationsOfAnApplication(t *testing.T) {
	t.Parallel()
	file := func(text string) *fstest.MapFile {
		return &fstest.MapFile{Data: []byte("-- +goose Up\n" + text + ";\n\n-- +goose Down\nSELECT 1;\n")}
	}
	first, second := file("CREATE TABLE reports (id integer PRIMARY KEY)"), file("ALTER TABLE reports ADD COLUMN title varchar(64)")
	for layout, files := range map[string]fstest.MapFS{
		"one for both": {"00001_reports.sql": first, "00002_titles.sql": second},
		"folders": {
			"mysql/00001_reports.sql": first, "mysql/00002_titles.sql": second,
			"sqlite/00001_reports.sql": first, "sqlite/00002_titles.sql": second,
			"00001_wrong.sql": file("nonsense"),
		},
	} {
		t.Run(layout, func(t *testing.T) {
			t.Parallel()
			eachDatabase(t, func(t *testing.T, databaseURL string) {
				const programs = 4
				dbs := make([]*gorm.DB, programs)
				for i := range dbs {
					if i > 0 && databaseURL == "sqlite://:memory:" {
						dbs[i] = dbs[0] // memory is private to a program
						continue
					}
					dbs[i] = open(t, databaseURL, models.Options{})
				}
				db := dbs[0]
				m := models.Migrations{Files: files, Versions: "reports_versions"}
				require.ErrorIs(t, m.Migrated(t.Context(), db), models.ErrNotMigrated)
				require.NoError(t, errors.Join(together(programs, func(i int) error { return m.Migrate(t.Context(), dbs[i]) })...))
				require.NoError(t, m.Migrated(t.Context(), db))
				require.NoError(t, models.Migrate(t.Context(), db))
				require.NoError(t, m.Migrate(t.Context(), db), "it changes nothing")
				require.NoError(t, db.Exec("INSERT INTO reports (id, title) VALUES (1, 'x')").Error)
				require.True(t, db.Migrator().HasTable("reports_versions"))
				require.False(t, db.Migrator().HasTable("goose_db_version"))
			})
		})
	}
}

func TestAMigrationThatFails(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, databaseURL string) {
		db := open(t, databaseURL, models.Options{})
		m := models.Migrations{Files: fstest.MapFS{
			"00001_a.sql": {Data: []byte("-- +goose Up\nCREATE TABLE a (id integer PRIMARY KEY);\n")},
			"00002_b.sql": {Data: []byte("-- +goose Up\nnonsense;\n")},
		}}
		err := m.Migrate(t.Context(), db)
		require.ErrorContains(t, err, "00002_b.sql")
		require.ErrorContains(t, m.Migrated(t.Context(), db), "goose_db_version has version 1, this program needs 2")
		require.ErrorContains(t, models.Migrations{Files: fstest.MapFS{}}.Migrate(t.Context(), db), "there is no NUMBER_name.sql for "+db.Name())
	})
}
