// Package away tells errors of stores that do not answer from other errors. It knows Redis and broken connections; what a
// database's driver says, package models knows.
package away

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"io"
	"net"
	"strings"

	"github.com/redis/go-redis/v9"
)

// Error marks an error of a store: it was not asked, or did not answer, so that nothing is known of what was asked, a
// commit included.
type Error struct{ Err error }

func (e *Error) Error() string { return e.Err.Error() }
func (e *Error) Unwrap() error { return e.Err }

// Is reports whether err says that a store is the trouble, and not what it was asked: it is marked, a connection broke or
// cannot be made, or it is a Redis that is away, full, overloaded, changing its primary, or refuses this program. The same
// call may succeed soon. That a context ended says so only where it is marked.
func Is(err error) bool {
	if err == nil {
		return false
	}
	var marked *Error
	return errors.As(err, &marked) || isCut(err) || isRedis(err)
}

// isCut is for connections that break or cannot be made.
func isCut(err error) bool {
	for _, known := range []error{
		io.EOF, io.ErrUnexpectedEOF, net.ErrClosed, driver.ErrBadConn, sql.ErrConnDone,
		redis.ErrClosed, redis.ErrPoolTimeout, redis.ErrPoolExhausted,
	} {
		if errors.Is(err, known) {
			return true
		}
	}
	var op *net.OpError
	var dns *net.DNSError
	if errors.As(err, &op) || errors.As(err, &dns) {
		return true
	}
	var other net.Error
	return errors.As(err, &other) && error(other) != context.DeadlineExceeded // which is one, too
}

func isRedis(err error) bool {
	var reply redis.Error
	if !errors.As(err, &reply) {
		return false
	}
	return redis.IsLoadingError(err) || redis.IsReadOnlyError(err) || redis.IsClusterDownError(err) ||
		redis.IsMasterDownError(err) || redis.IsTryAgainError(err) || redis.IsMaxClientsError(err) ||
		redis.IsOOMError(err) || redis.IsNoReplicasError(err) || redis.IsAuthError(err) ||
		strings.HasPrefix(reply.Error(), "MISCONF ") // it cannot write to its disk
}
