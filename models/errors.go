package models

import (
	"errors"

	gosqlite "github.com/glebarez/go-sqlite"
	"gorm.io/gorm"
	sqlite3 "modernc.org/sqlite/lib"
)

// IsDuplicate tells whether err says that a row with the same unique key is already there, on either database
// and whether the statement went through GORM or through database/sql.
func IsDuplicate(err error) bool {
	if errors.Is(err, gorm.ErrDuplicatedKey) || isMySQL(err, errDuplicateEntry) {
		return true
	}
	var refused *gosqlite.Error
	if !errors.As(err, &refused) {
		return false
	}
	return refused.Code() == sqlite3.SQLITE_CONSTRAINT_UNIQUE || refused.Code() == sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY
}
