package server

import (
	"database/sql"
	"database/sql/driver"
	"errors"
	"io"
	"net"
	"slices"

	"github.com/go-sql-driver/mysql"
	"github.com/redis/go-redis/v9"
)

// mysqlDown are the errors with which a MySQL server says that it, not the statement, is the trouble.
var mysqlDown = []uint16{
	1040, // ER_CON_COUNT_ERROR: too many connections
	1053, // ER_SERVER_SHUTDOWN
	1152, // ER_ABORTING_CONNECTION
	1203, // ER_TOO_MANY_USER_CONNECTIONS
	1205, // ER_LOCK_WAIT_TIMEOUT
	1213, // ER_LOCK_DEADLOCK
	1290, // ER_OPTION_PREVENTS_STATEMENT: read-only, as a former primary is
	1836, // ER_READ_ONLY_MODE
	1927, // ER_CONNECTION_KILLED (MariaDB)
	3032, // ER_SERVER_OFFLINE_MODE
}

// unavailable reports whether err says that Redis or the database is away, full, or changing its primary: the same
// request may succeed soon.
func unavailable(err error) bool {
	var (
		netErr   net.Error
		mysqlErr *mysql.MySQLError
	)
	switch {
	case errors.As(err, &netErr),
		errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, net.ErrClosed),
		errors.Is(err, redis.ErrClosed), errors.Is(err, redis.ErrPoolTimeout), errors.Is(err, redis.ErrPoolExhausted),
		errors.Is(err, driver.ErrBadConn), errors.Is(err, mysql.ErrInvalidConn), errors.Is(err, sql.ErrConnDone):
		return true
	case errors.As(err, &mysqlErr):
		return slices.Contains(mysqlDown, mysqlErr.Number)
	}
	return redis.IsLoadingError(err) || redis.IsReadOnlyError(err) || redis.IsClusterDownError(err) ||
		redis.IsMasterDownError(err) || redis.IsTryAgainError(err) || redis.IsMaxClientsError(err) ||
		redis.IsOOMError(err) || redis.IsNoReplicasError(err) || redis.IsAuthError(err)
}
