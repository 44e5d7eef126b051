package models

import (
	"context"
	"fmt"
	"strings"

	"gorm.io/gorm"
)

// adopt gives the tables that builds before the prefix made their new names. What has their names and not their columns is
// another program's, and stays as it is.
func adopt(ctx context.Context, db *gorm.DB) error {
	have, err := columnsOf(ctx, db)
	if err != nil {
		return err
	}
	for _, model := range All() {
		statement := &gorm.Statement{DB: db}
		if err := statement.Parse(model); err != nil {
			return fmt.Errorf("reading a model: %w", err)
		}
		old := strings.TrimPrefix(statement.Table, prefix)
		columns, there := have[old]
		if !there || len(without(statement.Schema.DBNames, columns)) > 0 {
			continue
		}
		if _, done := have[statement.Table]; done {
			if err := dropEmpty(db.WithContext(ctx), old); err != nil {
				return err
			}
			continue
		}
		if err := db.WithContext(ctx).Migrator().RenameTable(old, statement.Table); err != nil {
			return fmt.Errorf("renaming the table %s to %s: %w", old, statement.Table, err)
		}
		db.Logger.Info(ctx, "renamed the table %s to %s", old, statement.Table)
	}
	return nil
}

// dropEmpty is for a table that an earlier migration made once more, beside the one that has its new name.
func dropEmpty(db *gorm.DB, table string) error {
	var rows int64
	if err := db.Table(table).Limit(1).Count(&rows).Error; err != nil {
		return fmt.Errorf("looking into the table %s: %w", table, err)
	}
	if rows > 0 {
		return nil
	}
	if err := db.Migrator().DropTable(table); err != nil {
		return fmt.Errorf("dropping the empty table %s: %w", table, err)
	}
	return nil
}
