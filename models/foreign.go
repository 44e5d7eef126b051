package models

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"strings"

	"github.com/pressly/goose/v3"
	"gorm.io/gorm"
)

// ErrForeign says that the database holds tables which have names of ours and were made by something else.
var ErrForeign = errors.New("the database holds a table of that name which is another program's, or was changed by hand")

// refuseForeign looks for tables that the migrations would take for their own, because they have the names, and change. A
// table which no applied migration has made must have all columns of one that is to come: an interrupted one may have made
// it. It only reads.
func (m Migrations) refuseForeign(ctx context.Context, db *gorm.DB) error {
	creations, err := m.readCreations(db)
	if err != nil {
		return err
	}
	applied, err := m.appliedVersions(ctx, db)
	if err != nil {
		return err
	}
	have, err := columnsOf(ctx, db)
	if err != nil {
		return err
	}
	byTable := make(map[string][]creation)
	for _, c := range creations {
		if applied[c.version] {
			delete(have, c.table)
		}
		byTable[c.table] = append(byTable[c.table], c)
	}
	for _, c := range creations {
		columns, there := have[c.table]
		if !there {
			continue
		}
		own := slices.ContainsFunc(byTable[c.table], func(c creation) bool { return len(without(c.columns, columns)) == 0 })
		if !own {
			return foreign(c.table, without(byTable[c.table][0].columns, columns))
		}
	}
	return nil
}

// checkTables finds out whether the tables have the columns that this program needs.
func (m Migrations) checkTables(ctx context.Context, db *gorm.DB) error {
	have, err := columnsOf(ctx, db)
	if err != nil {
		return err
	}
	for _, model := range m.Models {
		statement := &gorm.Statement{DB: db}
		if err := statement.Parse(model); err != nil {
			return fmt.Errorf("reading a model: %w", err)
		}
		columns, there := have[statement.Table]
		if !there {
			return fmt.Errorf("%s: %w: %w: its migrations are said to be done, and table %q is missing", Setting, ErrConfig, ErrForeign, statement.Table)
		}
		if missing := without(statement.Schema.DBNames, columns); len(missing) > 0 {
			return foreign(statement.Table, missing)
		}
	}
	return nil
}

func foreign(table string, missing []string) error {
	return fmt.Errorf("%s: %w: %w: table %q lacks the columns %s", Setting, ErrConfig, ErrForeign, table, strings.Join(missing, ", "))
}

// without are those of the names that are not among others.
func without(names, others []string) (missing []string) {
	for _, name := range names {
		if !slices.Contains(others, name) {
			missing = append(missing, name)
		}
	}
	return missing
}

// creation is a table as a migration makes it.
type creation struct {
	version int64
	table   string
	columns []string
}

var (
	creationText = regexp.MustCompile(`(?s)CREATE TABLE IF NOT EXISTS (\w+) \(\n(.*?)\n\)`)
	columnText   = regexp.MustCompile(`(?m)^ +([a-z_]+) `)
)

// readCreations lists what the migrations make, oldest first.
func (m Migrations) readCreations(db *gorm.DB) (list []creation, err error) {
	files, err := m.files(db)
	if err != nil {
		return nil, err
	}
	names, err := fs.Glob(files, "*.sql")
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		version, err := goose.NumericComponent(name)
		if err != nil {
			return nil, fmt.Errorf("reading the migration %s: %w", name, err)
		}
		text, err := fs.ReadFile(files, name)
		if err != nil {
			return nil, err
		}
		up, _, _ := strings.Cut(string(text), "-- +goose Down")
		for _, found := range creationText.FindAllStringSubmatch(up, -1) {
			c := creation{version: version, table: found[1]}
			for _, column := range columnText.FindAllStringSubmatch(found[2], -1) {
				c.columns = append(c.columns, column[1])
			}
			list = append(list, c)
		}
	}
	return list, nil
}

// appliedVersions is empty for a database that has not been migrated, and for tables of models, of which there is no record.
func (m Migrations) appliedVersions(ctx context.Context, db *gorm.DB) (map[int64]bool, error) {
	versions := make(map[int64]bool)
	if m.ofModels(db) || db.Name() == "sqlite" && !db.WithContext(ctx).Migrator().HasTable(m.versions()) {
		return versions, ctx.Err()
	}
	pool, err := db.DB()
	if err != nil {
		return nil, err
	}
	// Past GORM, whose log would call the missing table a failure.
	rows, err := pool.QueryContext(ctx, "SELECT version_id FROM "+m.versions()+" WHERE is_applied")
	if isMySQL(err, errNoSuchTable) {
		return versions, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the versions of the database: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var version int64
		if err := rows.Scan(&version); err != nil {
			return nil, fmt.Errorf("reading the versions of the database: %w", err)
		}
		versions[version] = true
	}
	return versions, rows.Err()
}

// columnsOf reads the columns of all tables.
func columnsOf(ctx context.Context, db *gorm.DB) (map[string][]string, error) {
	statement := "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = DATABASE()"
	if db.Name() == "sqlite" {
		statement = "SELECT m.name, c.name FROM sqlite_master m JOIN pragma_table_info(m.name) c WHERE m.type IN ('table', 'view')"
	}
	rows, err := db.WithContext(ctx).Raw(statement).Rows()
	if err != nil {
		return nil, fmt.Errorf("reading the columns of the tables: %w", err)
	}
	defer rows.Close()
	columns := make(map[string][]string)
	for rows.Next() {
		var table, column string
		if err := rows.Scan(&table, &column); err != nil {
			return nil, fmt.Errorf("reading the columns of the tables: %w", err)
		}
		columns[table] = append(columns[table], strings.ToLower(column))
	}
	return columns, rows.Err()
}
