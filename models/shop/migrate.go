package shop

import (
	"context"
	"embed"
	"errors"
	"io/fs"

	"gorm.io/gorm"

	"github.com/paidui/paidui/models"
)

//go:embed migrations/*.sql
var files embed.FS

// Migrations make the shop's tables. The first of them made Paidui's own, too, under the names that they had then, which
// models.Migrate gives their new ones; so the shop's come first.
func Migrations() models.Migrations {
	sub, err := fs.Sub(files, "migrations")
	if err != nil {
		panic(err) // the name is right
	}
	return models.Migrations{Files: sub, Models: All()}
}

// Migrate brings the shop's tables, and Paidui's own, up to date.
func Migrate(ctx context.Context, db *gorm.DB) error {
	if err := Migrations().Migrate(ctx, db); err != nil {
		return err
	}
	return models.Migrate(ctx, db)
}

// Migrated is for a program that leaves migrating to another: see models.Migrations.
func Migrated(ctx context.Context, db *gorm.DB) error {
	return errors.Join(Migrations().Migrated(ctx, db), models.Migrated(ctx, db))
}
