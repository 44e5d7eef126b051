package models

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/go-sql-driver/mysql"
)

// sqlMode is MySQL's own default without ONLY_FULL_GROUP_BY, which MariaDB has not. A value that does not fit its column is
// an error in it.
const sqlMode = "STRICT_TRANS_TABLES,NO_ZERO_IN_DATE,NO_ZERO_DATE,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION"

// sessionParams are what each session sets, whatever the server and its init_connect say. sessionIsolation is set by a
// statement of its own, because MySQL and MariaDB do not agree on the name of its variable.
func sessionParams() map[string]string {
	return map[string]string{
		"autocommit": "1",
		"time_zone":  "'+00:00'",
		"sql_mode":   "'" + sqlMode + "'",
	}
}

const sessionIsolation = "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ"

// sessions opens the pool's connections. When the server of one turns out to be read-only, as an old primary is after a
// failover, all connections of that age are given up, because the name may lead to another server by now.
type sessions struct {
	driver.Connector
	age atomic.Int64 // of the connections that may be used
}

// Connect implements driver.Connector.
func (s *sessions) Connect(ctx context.Context) (driver.Conn, error) {
	age := s.age.Load() // before the name is looked up
	conn, err := s.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	own, ok := conn.(mysqlConn)
	if !ok {
		return nil, errors.Join(fmt.Errorf("the MySQL driver's connection is a %T", conn), conn.Close())
	}
	if _, err := own.ExecContext(ctx, sessionIsolation, nil); err != nil {
		return nil, errors.Join(fmt.Errorf("setting the isolation level: %w", err), own.Close())
	}
	return &session{mysqlConn: own, sessions: s, age: age}, nil
}

// mysqlConn is what the driver's connections can do, as database/sql looks for it.
type mysqlConn interface {
	driver.Conn
	driver.ConnBeginTx
	driver.ConnPrepareContext
	driver.ExecerContext
	driver.QueryerContext
	driver.Pinger
	driver.NamedValueChecker
	driver.SessionResetter
	driver.Validator
}

// session is one of sessions' connections.
type session struct {
	mysqlConn
	sessions *sessions
	age      int64
}

// check makes the refusal of a read-only server one of a broken connection, so that database/sql tries the statement on
// another one; it has changed nothing.
func (s *session) check(err error) error {
	if !isReadOnly(err) {
		return err
	}
	s.sessions.age.CompareAndSwap(s.age, s.age+1)
	return fmt.Errorf("%w: %w", driver.ErrBadConn, err)
}

func isReadOnly(err error) bool {
	return isMySQL(err, errReadOnly) || isMySQL(err, errReadOnlyMode) || isMySQL(err, errReadOnlyTransaction)
}

func (s *session) outdated() bool { return s.age != s.sessions.age.Load() }

// IsValid implements driver.Validator.
func (s *session) IsValid() bool { return !s.outdated() && s.mysqlConn.IsValid() }

// ResetSession implements driver.SessionResetter.
func (s *session) ResetSession(ctx context.Context) error {
	if s.outdated() {
		return driver.ErrBadConn
	}
	return s.mysqlConn.ResetSession(ctx)
}

// ExecContext implements driver.ExecerContext.
func (s *session) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	result, err := s.mysqlConn.ExecContext(ctx, query, args)
	return result, s.check(err)
}

// QueryContext implements driver.QueryerContext.
func (s *session) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	rows, err := s.mysqlConn.QueryContext(ctx, query, args)
	return rows, s.check(err)
}

// BeginTx implements driver.ConnBeginTx.
func (s *session) BeginTx(ctx context.Context, opt driver.TxOptions) (driver.Tx, error) {
	tx, err := s.mysqlConn.BeginTx(ctx, opt)
	if err != nil {
		return nil, s.check(err)
	}
	return sessionTx{tx, s}, nil
}

// PrepareContext implements driver.ConnPrepareContext.
func (s *session) PrepareContext(ctx context.Context, query string) (driver.Stmt, error) {
	statement, err := s.mysqlConn.PrepareContext(ctx, query)
	if err != nil {
		return nil, s.check(err)
	}
	own, ok := statement.(mysqlStatement)
	if !ok {
		return nil, errors.Join(fmt.Errorf("the MySQL driver's statement is a %T", statement), statement.Close())
	}
	return sessionStatement{own, s}, nil
}

type sessionTx struct {
	driver.Tx
	session *session
}

func (t sessionTx) Commit() error { return t.session.check(t.Tx.Commit()) }

// mysqlStatement is what the driver's prepared statements can do, as database/sql looks for it.
type mysqlStatement interface {
	driver.Stmt
	driver.StmtExecContext
	driver.StmtQueryContext
	driver.NamedValueChecker
}

type sessionStatement struct {
	mysqlStatement
	session *session
}

func (p sessionStatement) ExecContext(ctx context.Context, args []driver.NamedValue) (driver.Result, error) {
	result, err := p.mysqlStatement.ExecContext(ctx, args)
	return result, p.session.check(err)
}

func (p sessionStatement) QueryContext(ctx context.Context, args []driver.NamedValue) (driver.Rows, error) {
	rows, err := p.mysqlStatement.QueryContext(ctx, args)
	return rows, p.session.check(err)
}

func newSessions(config *mysql.Config) (*sessions, error) {
	connector, err := mysql.NewConnector(config)
	if err != nil {
		return nil, err
	}
	return &sessions{Connector: connector}, nil
}
