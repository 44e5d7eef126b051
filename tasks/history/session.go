package history

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"time"

	"github.com/paidui/paidui/models"
)

// session is a connection with its prepared statements. Transactions on it begin and end by statements: those of
// database/sql end without a context, and would wait for ever for a server that does not answer.
type session struct {
	conn       *sql.Conn
	dialect    dialect
	statements map[statementKey]*sql.Stmt
	since      time.Time
}

// sessionAge is how long a connection is kept before the pool may renew it.
const sessionAge = time.Minute

const conflictTries = 5

// transact does work in a transaction. If the database has rolled it back in favour of another one, it does it again.
func (t *table) transact(ctx context.Context, work func(*session) error) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.keep {
		defer t.end()
	}
	for try := 1; ; try++ {
		err := t.attempt(ctx, work)
		if err == nil || !models.IsConflict(err) || try == conflictTries {
			return err
		}
	}
}

func (t *table) attempt(ctx context.Context, work func(*session) error) error {
	if t.session != nil && time.Since(t.session.since) > sessionAge {
		t.end()
	}
	if t.session == nil {
		conn, err := t.pool.Conn(ctx)
		if err != nil {
			return err
		}
		t.session = &session{conn: conn, dialect: t.dialect, statements: make(map[statementKey]*sql.Stmt), since: time.Now()}
	}
	s := t.session
	err := s.exec(ctx, s.dialect.begin...)
	if err == nil {
		err = work(s)
	}
	if err == nil {
		err = s.exec(ctx, "COMMIT")
	}
	if err != nil {
		t.abort(ctx)
	}
	return err
}

// abort rolls back, or closes the connection, which does the same. The session ends either way: MySQL's prepared statements
// keep an error, and the pool may know better than to use the connection again.
func (t *table) abort(ctx context.Context) {
	if t.dialect.local {
		ctx = context.WithoutCancel(ctx) // nothing can be slow, and a database in memory lives by its connections
	}
	if t.session.exec(ctx, "ROLLBACK") != nil {
		_ = t.session.conn.Raw(func(any) error { return driver.ErrBadConn }) // so that the pool drops it
	}
	t.end()
}

// end gives the connection back, if there is one.
func (t *table) end() {
	if t.session == nil {
		return
	}
	for _, s := range t.session.statements {
		_ = s.Close()
	}
	_ = t.session.conn.Close()
	t.session = nil
}

// close gives up what the table holds on to.
func (t *table) close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.end()
}

func (s *session) exec(ctx context.Context, statements ...string) error {
	for _, statement := range statements {
		if _, err := s.conn.ExecContext(ctx, statement); err != nil {
			return err
		}
	}
	return nil
}

// statementKey tells the upserts from each other.
type statementKey struct {
	shape shape
	rows  int
}

// prepared is the upsert of n rows of the shape.
func (s *session) prepared(ctx context.Context, of shape, n int) (*sql.Stmt, error) {
	key := statementKey{of, n}
	if statement, ok := s.statements[key]; ok {
		return statement, nil
	}
	statement, err := s.conn.PrepareContext(ctx, upsert(s.dialect, of, n))
	if err == nil {
		s.statements[key] = statement
	}
	return statement, err
}
