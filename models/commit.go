package models

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"sync"
	"time"

	"gorm.io/gorm"

	"github.com/paidui/paidui/models/away"
)

// AfterCommit has f called once the transaction of tx has committed, on the goroutine that commits it and before that
// returns, so f should be quick. f is dropped when the transaction is rolled back, to its beginning or to a savepoint
// older than this call, and when Commit returns an error, though then the commit may have reached the database; but where
// that error is that the database did not answer in time, and it does so later, f is called then, on another goroutine.
// AfterCommit reports false, and f is never called, when tx is not in a transaction of a database that Open returned;
// transactions within gorm's Connection are not.
func AfterCommit(tx *gorm.DB, f func()) bool {
	pool := tx.Statement.ConnPool
	if prepared, ok := pool.(*gorm.PreparedStmtTX); ok {
		pool = prepared.Tx
	}
	own, ok := pool.(*transaction)
	if ok {
		own.add(f)
	}
	return ok
}

// connections is a pool whose transactions know what to do after they commit. It and they mark the errors of a database
// that does not answer: see away.Error.
type connections struct{ *sql.DB }

// ExecContext implements gorm.ConnPool.
func (c connections) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	began := time.Now()
	result, err := c.DB.ExecContext(ctx, query, args...)
	return result, answer(err, began)
}

// QueryContext implements gorm.ConnPool.
func (c connections) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	began := time.Now()
	rows, err := c.DB.QueryContext(ctx, query, args...)
	return rows, answer(err, began)
}

// BeginTx implements gorm.ConnPoolBeginner.
func (c connections) BeginTx(ctx context.Context, opt *sql.TxOptions) (gorm.ConnPool, error) {
	began := time.Now()
	tx, err := c.DB.BeginTx(ctx, opt)
	if err != nil {
		return nil, answer(err, began)
	}
	return &transaction{Tx: tx, pool: c.DB, ctx: ctx}, nil
}

// GetDBConn implements gorm.GetDBConnector.
func (c connections) GetDBConn() (*sql.DB, error) { return c.DB, nil }

// transaction is one of connections'. It implements gorm.Tx.
type transaction struct {
	*sql.Tx
	pool *sql.DB
	ctx  context.Context // of the whole transaction

	mu    sync.Mutex
	after []func()
	marks []mark // savepoints, oldest first
}

// mark is a savepoint, and how many functions were there when it was set.
type mark struct {
	name  string
	after int
}

// GetDBConn implements gorm.GetDBConnector.
func (t *transaction) GetDBConn() (*sql.DB, error) { return t.pool, nil }

// endGrace is how long the end of a transaction may take when its context has ended. It spares those whose client has
// gone an end of which they do not know what became of it.
const endGrace = time.Second

// Commit commits, and then calls what AfterCommit was given. The driver waits for the answer without a limit, and a server
// may be frozen, or cut off without a word; so Commit returns soon after the transaction's context has ended, and then
// nobody knows whether the commit has reached the database.
func (t *transaction) Commit() error {
	return t.within("commit", t.Tx.Commit, func() {
		for _, f := range t.take() {
			f()
		}
	})
}

// Rollback is as patient as Commit.
func (t *transaction) Rollback() error { return t.within("rollback", t.Tx.Rollback, func() {}) }

// within waits for end no longer than endGrace after the transaction's context has ended, and calls done when end has
// succeeded: before it returns, or on another goroutine if that comes later.
func (t *transaction) within(what string, end func() error, done func()) error {
	then := func(err error) error {
		if err == nil {
			done()
		}
		return MarkAway(err)
	}
	if t.ctx.Done() == nil {
		return then(end())
	}
	ended := make(chan error, 1)
	go func() { ended <- end() }()
	select {
	case err := <-ended:
		return then(err)
	case <-t.ctx.Done():
	}
	grace := time.NewTimer(endGrace)
	defer grace.Stop()
	select {
	case err := <-ended:
		return then(err)
	case <-grace.C:
	}
	go func() { _ = then(<-ended) }() // the caller has its error
	return &away.Error{Err: fmt.Errorf("the database has not answered the %s: %w", what, context.Cause(t.ctx))}
}

// ExecContext watches for savepoints, which gorm sets and goes back to with these words.
func (t *transaction) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	began := time.Now()
	result, err := t.Tx.ExecContext(ctx, query, args...)
	if err != nil {
		return result, answer(err, began)
	}
	if name, ok := strings.CutPrefix(query, "SAVEPOINT "); ok {
		t.setMark(name)
	} else if name, ok := strings.CutPrefix(query, "ROLLBACK TO SAVEPOINT "); ok {
		t.backTo(name)
	}
	return result, nil
}

// QueryContext implements gorm.ConnPool.
func (t *transaction) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	began := time.Now()
	rows, err := t.Tx.QueryContext(ctx, query, args...)
	return rows, answer(err, began)
}

func (t *transaction) add(f func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.after = append(t.after, f)
}

func (t *transaction) take() []func() {
	t.mu.Lock()
	defer t.mu.Unlock()
	after := t.after
	t.after = nil
	return after
}

func (t *transaction) setMark(name string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.marks = append(t.marks, mark{name, len(t.after)})
}

// backTo drops what came after the latest savepoint of the name, which itself stays.
func (t *transaction) backTo(name string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for i := len(t.marks) - 1; i >= 0; i-- {
		if t.marks[i].name == name {
			t.marks = t.marks[:i+1]
			clear(t.after[t.marks[i].after:])
			t.after = t.after[:t.marks[i].after]
			return
		}
	}
}
