package models

import (
	"context"
	"errors"
	"slices"
	"time"

	gosqlite "github.com/glebarez/go-sqlite"
	"github.com/go-sql-driver/mysql"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/paidui/paidui/models/away"
)

// MarkAway makes an *away.Error of an error that IsAway, and leaves others as they are.
func MarkAway(err error) error {
	var marked *away.Error
	if err == nil || errors.As(err, &marked) || !IsAway(err) {
		return err
	}
	return &away.Error{Err: err}
}

// IsAway reports whether err says that a store, the database or a Redis, is the trouble, and not what it was asked: it
// is away, full, overloaded, shutting down, changing its primary, or refuses this program. The same call may succeed
// soon. That a context ended says so only where it is marked: see silentAfter.
func IsAway(err error) bool {
	if err == nil {
		return false
	}
	return away.Is(err) || isMySQLAway(err) || isSQLiteAway(err)
}

func isMySQLAway(err error) bool {
	for _, cut := range []error{mysql.ErrInvalidConn, mysql.ErrMalformPkt, mysql.ErrPktSync, mysql.ErrPktSyncMul} {
		if errors.Is(err, cut) {
			return true
		}
	}
	var refused *mysql.MySQLError
	return errors.As(err, &refused) && slices.Contains(mysqlAway, refused.Number)
}

// mysqlAway are the errors with which a MySQL server, MariaDB or TiDB says that it, and not the statement, is the trouble.
var mysqlAway = []uint16{
	1020, // ER_CHECKREAD: MariaDB, rolled back in favour of another transaction
	1021, // ER_DISK_FULL
	1040, // ER_CON_COUNT_ERROR: too many connections
	1044, // ER_DBACCESS_DENIED_ERROR
	1045, // ER_ACCESS_DENIED_ERROR: as while a password is changed
	1047, // ER_UNKNOWN_COM_ERROR: a node of Galera that is not ready
	1049, // ER_BAD_DB_ERROR: as while the database is restored
	1053, // ER_SERVER_SHUTDOWN
	1114, // ER_RECORD_FILE_FULL
	1129, // ER_HOST_IS_BLOCKED
	1130, // ER_HOST_NOT_PRIVILEGED
	1152, // ER_ABORTING_CONNECTION
	1158, // ER_NET_READ_ERROR
	1159, // ER_NET_READ_INTERRUPTED
	1160, // ER_NET_ERROR_ON_WRITE
	1161, // ER_NET_WRITE_INTERRUPTED
	1180, // ER_ERROR_DURING_COMMIT
	1203, // ER_TOO_MANY_USER_CONNECTIONS
	1205, // ER_LOCK_WAIT_TIMEOUT
	1213, // ER_LOCK_DEADLOCK
	1226, // ER_USER_LIMIT_REACHED
	1290, // ER_OPTION_PREVENTS_STATEMENT: read-only, as a former primary is
	1317, // ER_QUERY_INTERRUPTED: killed, or the server shuts down
	1792, // ER_CANT_EXECUTE_IN_READ_ONLY_TRANSACTION
	1836, // ER_READ_ONLY_MODE
	1927, // ER_CONNECTION_KILLED: MariaDB
	1969, // ER_STATEMENT_TIMEOUT: MariaDB
	3024, // ER_QUERY_TIMEOUT
	3032, // ER_SERVER_OFFLINE_MODE
	3169, // ER_SESSION_WAS_KILLED
	4031, // ER_CLIENT_INTERACTION_TIMEOUT
	9001, // TiDB: PD server timeout
	9002, // TiDB: TiKV server timeout
	9003, // TiDB: TiKV server is busy
	9004, // TiDB: resolve lock timeout
	9005, // TiDB: region is unavailable
	9007, // TiDB: write conflict
}

func isSQLiteAway(err error) bool {
	var refused *gosqlite.Error
	if !errors.As(err, &refused) {
		return false
	}
	switch refused.Code() & 0xff {
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN,
		sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PROTOCOL:
		return true
	}
	return false
}

// silentAfter is how long a statement has waited at least when its context's end says that the database is silent. One
// that began just before the end of its caller's time says nothing.
const silentAfter = time.Second

// answer marks the error of a statement that began at the time when the database did not answer it.
func answer(err error, began time.Time) error {
	if errors.Is(err, context.DeadlineExceeded) && time.Since(began) >= silentAfter {
		return &away.Error{Err: err}
	}
	return MarkAway(err)
}
