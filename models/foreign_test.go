package models_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/paidui/paidui/models"
	"github.com/paidui/paidui/models/shop"
)

// TestMigrateRefusesTablesOfAnotherProgram: every one of ours, whose name another program may use for something else.
func TestMigrateRefusesTablesOfAnotherProgram(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, databaseURL string) {
		db := open(t, databaseURL, models.Options{})
		for _, model := range allModels() {
			statement := &gorm.Statement{DB: db}
			require.NoError(t, statement.Parse(model))
			table := statement.Table
			require.NoError(t, db.Exec("CREATE TABLE "+table+" (id integer PRIMARY KEY, mobile varchar(16), password varchar(64))").Error)
			require.NoError(t, db.Exec("INSERT INTO "+table+" VALUES (1, '1', 'x')").Error)
			migrate := shop.Migrations().Migrate
			if strings.HasPrefix(table, "paidui_") {
				migrate = models.Migrate
			}
			err := migrate(t.Context(), db)
			require.ErrorIs(t, err, models.ErrForeign)
			require.ErrorIs(t, err, models.ErrConfig, "waiting does not help")
			require.ErrorContains(t, err, `table "`+table+`" lacks the columns `)
			tables, err := db.Migrator().GetTables()
			require.NoError(t, err)
			require.Equal(t, []string{table}, tables, "nothing is made")
			rows, err := db.Raw("SELECT * FROM " + table).Rows()
			require.NoError(t, err)
			names, err := rows.Columns()
			require.NoError(t, err)
			require.NoError(t, rows.Close())
			require.Len(t, names, 3, "nothing is added")
			require.NoError(t, db.Exec("DROP TABLE "+table).Error)
		}
		require.NoError(t, db.Exec("CREATE TABLE customers (id integer PRIMARY KEY)").Error)
		require.NoError(t, shop.Migrate(t.Context(), db), "a table of another name is nobody's concern")
	})
}

// TestAProgramRefusesTablesThatAreNotWhatTheyWere: neither does a process start that leaves migrating to others.
func TestAProgramRefusesTablesThatAreNotWhatTheyWere(t *testing.T) {
	t.Parallel()
	eachMigrated(t, func(t *testing.T, db *gorm.DB) {
		require.NoError(t, shop.Migrated(t.Context(), db))
		require.NoError(t, db.Exec("DROP TABLE users").Error)
		require.NoError(t, db.Exec("CREATE TABLE users (id integer PRIMARY KEY, mobile varchar(16))").Error)
		for _, start := range []error{shop.Migrated(t.Context(), db), shop.Migrate(t.Context(), db)} {
			require.ErrorIs(t, start, models.ErrForeign)
			require.ErrorContains(t, start, `table "users" lacks the columns name, photo, intro, certi, created_at, updated_at`)
		}
	})
}

// TestMigrateBesideAnotherProgramThatUsesGoose has its versions taken for ours.
func TestMigrateBesideAnotherProgramThatUsesGoose(t *testing.T) {
	t.Parallel()
	eachMigrated(t, func(t *testing.T, db *gorm.DB) {
		if db.Name() == "sqlite" {
			return // which has no versions
		}
		require.NoError(t, db.Exec("DROP TABLE users").Error)
		for _, start := range []error{shop.Migrated(t.Context(), db), shop.Migrate(t.Context(), db)} {
			require.ErrorIs(t, start, models.ErrForeign)
			require.ErrorContains(t, start, `table "users" is missing`)
		}
	})
}
