package models

import (
	"errors"

	gosqlite "github.com/glebarez/go-sqlite"
	"github.com/go-sql-driver/mysql"
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

// IsConflict tells whether err says that the database rolled a transaction back in favour of another one. It can be
// run again at once.
func IsConflict(err error) bool {
	return isMySQL(err, errDeadlock) || isMySQL(err, errRecordChanged)
}

// IsRowFault tells whether err is about the values of a row: they break a constraint or do not fit a column. Other
// rows of the same statement may be sound.
func IsRowFault(err error) bool {
	if IsDuplicate(err) || errors.Is(err, gorm.ErrForeignKeyViolated) || errors.Is(err, gorm.ErrCheckConstraintViolated) {
		return true
	}
	var byMySQL *mysql.MySQLError
	if errors.As(err, &byMySQL) {
		class := string(byMySQL.SQLState[:2])
		return class == sqlDataException || class == sqlConstraintViolation
	}
	var bySQLite *gosqlite.Error
	return errors.As(err, &bySQLite) && bySQLite.Code()&0xff == sqlite3.SQLITE_CONSTRAINT
}

// Classes of SQLSTATE.
const (
	sqlDataException       = "22"
	sqlConstraintViolation = "23"
)
