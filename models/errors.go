package models

import (
	"context"
	"errors"
	"fmt"
	"strings"

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

// IsRowFault tells whether err is about the values of a row: they break a constraint, do not fit a column or make a
// statement that the server does not take. Other rows of the same statement may be sound.
func IsRowFault(err error) bool {
	if IsDuplicate(err) || errors.Is(err, gorm.ErrForeignKeyViolated) || errors.Is(err, gorm.ErrCheckConstraintViolated) ||
		isTooLarge(err) {
		return true
	}
	var byMySQL *mysql.MySQLError
	if errors.As(err, &byMySQL) {
		switch byMySQL.Number {
		case errCheckViolated, errWrongValue, errRowTooLarge:
			return true
		}
		class := string(byMySQL.SQLState[:2])
		return class == sqlDataException || class == sqlConstraintViolation
	}
	var bySQLite *gosqlite.Error
	if !errors.As(err, &bySQLite) {
		return false
	}
	switch bySQLite.Code() & 0xff {
	case sqlite3.SQLITE_CONSTRAINT, sqlite3.SQLITE_TOOBIG, sqlite3.SQLITE_MISMATCH:
		return true
	}
	return false
}

// isTooLarge tells whether a statement, or a parameter of it, is larger than the server's max_allowed_packet.
func isTooLarge(err error) bool {
	var byMySQL *mysql.MySQLError
	if errors.As(err, &byMySQL) {
		return byMySQL.Number == errPacketTooLarge || byMySQL.Number == errUnknown && strings.Contains(byMySQL.Message, tooLongParameter)
	}
	return errors.Is(err, mysql.ErrPktTooLarge)
}

// Reason names an error of the database without quoting any value, as its text may.
func Reason(err error) string {
	var byMySQL *mysql.MySQLError
	var bySQLite *gosqlite.Error
	switch {
	case err == nil:
		return ""
	case isTooLarge(err):
		return "larger than max_allowed_packet"
	case errors.As(err, &byMySQL):
		return fmt.Sprintf("MySQL error %d (%s)", byMySQL.Number, byMySQL.SQLState[:])
	case errors.As(err, &bySQLite):
		return fmt.Sprintf("SQLite error %d", bySQLite.Code())
	case errors.Is(err, context.DeadlineExceeded):
		return "no answer in time"
	}
	return "no answer"
}

// tooLongParameter is what the text of an unspecific error of MySQL has in it when a prepared statement's parameter is larger
// than a packet.
const tooLongParameter = "'max_allowed_packet'"

// Classes of SQLSTATE.
const (
	sqlDataException       = "22"
	sqlConstraintViolation = "23"
)
