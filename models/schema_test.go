package models_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"
	"gorm.io/gorm/schema"

	"github.com/paidui/paidui/deploy/testenv"
	"github.com/paidui/paidui/models"
	"github.com/paidui/paidui/models/shop"
)

// column and index are what both databases must agree on.
type column struct {
	Class    string // integer, text, bytes, time or boolean
	Nullable bool
	Key      int // place in the primary key, from 1; 0 outside it
}

type index struct {
	Unique  bool
	Columns string
}

type table struct {
	Columns map[string]column
	Indexes map[string]index
}

// schemaOf reads the tables of all models from the database's own catalog.
func schemaOf(t *testing.T, db *gorm.DB) map[string]table {
	t.Helper()
	tables := map[string]table{}
	for _, model := range allModels() {
		statement := &gorm.Statement{DB: db}
		require.NoError(t, statement.Parse(model))
		name := statement.Schema.Table
		if db.Name() == "sqlite" {
			tables[name] = sqliteTable(t, db, name)
		} else {
			tables[name] = mysqlTable(t, db, name)
		}
	}
	return tables
}

func sqliteTable(t *testing.T, db *gorm.DB, name string) table {
	t.Helper()
	var columns []struct {
		Name, Type string
		NotNull    bool
		PK         int
	}
	require.NoError(t, db.Raw(`SELECT name, type, "notnull" AS not_null, pk FROM pragma_table_info(?)`, name).Scan(&columns).Error)
	result := table{map[string]column{}, map[string]index{}}
	for _, c := range columns {
		result.Columns[c.Name] = column{classOf(t, c.Type), !c.NotNull && c.PK == 0, c.PK}
	}
	var indexes []struct {
		Name    string
		Unique  bool
		Columns string
	}
	require.NoError(t, db.Raw(`SELECT i.name, i."unique", (SELECT group_concat(c.name, ',') FROM pragma_index_info(i.name) c) AS columns
		FROM pragma_index_list(?) i WHERE i.origin <> 'pk'`, name).Scan(&indexes).Error)
	for _, i := range indexes {
		result.Indexes[i.Name] = index{i.Unique, i.Columns}
	}
	return result
}

func mysqlTable(t *testing.T, db *gorm.DB, name string) table {
	t.Helper()
	var columns []struct {
		Name, Type, Nullable string
		Key                  int
	}
	require.NoError(t, db.Raw(`SELECT c.column_name AS name, c.column_type AS type, c.is_nullable AS nullable, COALESCE(k.seq_in_index, 0) AS 'key'
		FROM information_schema.columns c LEFT JOIN information_schema.statistics k
			ON k.table_schema = c.table_schema AND k.table_name = c.table_name AND k.column_name = c.column_name AND k.index_name = 'PRIMARY'
		WHERE c.table_schema = DATABASE() AND c.table_name = ?`, name).Scan(&columns).Error)
	result := table{map[string]column{}, map[string]index{}}
	for _, c := range columns {
		result.Columns[c.Name] = column{classOf(t, c.Type), c.Nullable == "YES", c.Key}
	}
	var indexes []struct {
		Name    string
		Unique  bool
		Columns string
	}
	require.NoError(t, db.Raw(`SELECT index_name AS name, MAX(non_unique) = 0 AS 'unique', GROUP_CONCAT(column_name ORDER BY seq_in_index) AS columns
		FROM information_schema.statistics WHERE table_schema = DATABASE() AND table_name = ? AND index_name <> 'PRIMARY'
		GROUP BY index_name`, name).Scan(&indexes).Error)
	for _, i := range indexes {
		result.Indexes[i.Name] = index{i.Unique, i.Columns}
	}
	return result
}

// classOf maps the types of both databases to what Go sees.
func classOf(t *testing.T, databaseType string) string {
	t.Helper()
	switch name, _, _ := strings.Cut(strings.ToLower(databaseType), "("); name {
	case "bigint", "integer":
		return "integer"
	case "varchar", "text", "mediumtext":
		return "text"
	case "datetime":
		return "time"
	case "tinyint", "numeric":
		return "boolean"
	case "blob", "mediumblob":
		return "bytes"
	}
	require.Failf(t, "unknown type", "%q", databaseType)
	return ""
}

func TestSchemasAgree(t *testing.T) {
	t.Parallel()
	mysql := open(t, testenv.MySQL(t), models.Options{})
	sqlite := open(t, "sqlite://:memory:", models.Options{})
	require.NoError(t, shop.Migrate(t.Context(), mysql))
	require.NoError(t, shop.Migrate(t.Context(), sqlite))

	want, got := schemaOf(t, sqlite), schemaOf(t, mysql)
	require.Len(t, got, len(allModels()))
	for name := range want {
		require.Equal(t, want[name], got[name], name)
		require.NotEmpty(t, got[name].Columns, name)
	}
	require.Equal(t, index{true, "user_id,goods_id"}, got["orders"].Indexes["idx_orders_user_goods"])
	require.Equal(t, index{true, "task_id"}, got["orders"].Indexes["idx_orders_task_id"])
	require.Equal(t, column{Class: "time", Nullable: true}, got["paidui_task_records"].Columns["started_at"])

	alone := open(t, testenv.MySQL(t), models.Options{})
	require.NoError(t, models.Migrate(t.Context(), alone))
	for _, model := range models.All() {
		statement := &gorm.Statement{DB: alone}
		require.NoError(t, statement.Parse(model))
		require.Equal(t, got[statement.Table], mysqlTable(t, alone, statement.Table), "what is made at once is what was renamed")
	}

	var tables []string
	require.NoError(t, mysql.Raw("SHOW TABLES").Scan(&tables).Error)
	require.Len(t, tables, len(allModels())+2, "the models' tables and their versions: %v", tables)
}

// TestSizesAgree holds what SQLite cannot show: the lengths of text, and the type and collation, on MySQL.
func TestSizesAgree(t *testing.T) {
	t.Parallel()
	db := open(t, testenv.MySQL(t), models.Options{})
	require.NoError(t, shop.Migrate(t.Context(), db))
	varchar := regexp.MustCompile(`^varchar\((\d+)\)$`)
	for _, model := range allModels() {
		statement := &gorm.Statement{DB: db}
		require.NoError(t, statement.Parse(model))
		types, err := db.Migrator().ColumnTypes(model)
		require.NoError(t, err)
		for _, field := range statement.Schema.Fields {
			at := slices.IndexFunc(types, func(c gorm.ColumnType) bool { return c.Name() == field.DBName })
			require.GreaterOrEqual(t, at, 0, "%T.%s has no column", model, field.Name)
			full, _ := types[at].ColumnType()
			switch {
			case field.DataType == schema.Time:
				require.Equal(t, "datetime(6)", full, "%T.%s", model, field.Name)
			case field.DataType == schema.String:
				require.Regexp(t, varchar, full, "%T.%s", model, field.Name)
				length, _ := types[at].Length()
				require.EqualValues(t, field.Size, length, "%T.%s", model, field.Name)
			case field.GORMDataType == schema.String:
				require.Equal(t, string(field.DataType), full, "%T.%s", model, field.Name)
			}
		}
	}
	var collations []string
	require.NoError(t, db.Raw(`SELECT DISTINCT collation_name FROM information_schema.columns
		WHERE table_schema = DATABASE() AND table_name NOT IN ('goose_db_version', 'paidui_versions') AND collation_name IS NOT NULL`).Scan(&collations).Error)
	require.Equal(t, []string{"utf8mb4_bin"}, collations)
}
