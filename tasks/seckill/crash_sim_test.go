package seckill

import (
	"context"
	"database/sql"
	"errors"
	"net"

	"github.com/redis/go-redis/v9"
	"gorm.io/gorm"
)

// The crash test runs processes one step at a time: each stops before every command to Redis, statement to the
// database and call to the queue, until the test says how that step ends. A process is known by its context.

// fate is how a step ends.
type fate int

const (
	succeeds    fate = iota
	failsBefore      // an error, and nothing was done
	failsAfter       // an error, and it was done all the same
	diesBefore       // the process ends; nothing was done
	diesAfter        // the process ends; it was done
)

var (
	errFault = errors.New("injected fault")
	errDead  = errors.New("the process is dead")
)

type process struct {
	name string
	at   chan string // the step before which the process stands
	turn chan fate
	done chan struct{} // its work has ended
	next string        // the step before which it stands
	dead bool          // touched by whoever has the turn
}

type processKey struct{}

// start begins the work and returns when it stands before its first step, or has ended.
func start(name string, work func(ctx context.Context)) *process {
	p := &process{name: name, at: make(chan string), turn: make(chan fate), done: make(chan struct{})}
	go func() {
		defer close(p.done)
		work(context.WithValue(context.Background(), processKey{}, p))
	}()
	p.settle()
	return p
}

// settle waits for the process to stand or end, and reports whether it stands.
func (p *process) settle() bool {
	select {
	case p.next = <-p.at:
		return true
	case <-p.done:
		return false
	}
}

// goOn lets one step end as told and reports whether there is a next one.
func (p *process) goOn(f fate) bool {
	p.turn <- f
	return p.settle()
}

func (p *process) await(name string) fate {
	if p.dead {
		return diesBefore
	}
	select {
	case p.at <- name:
	case <-p.done: // something left running in the background of a work that has ended
		return diesBefore
	}
	f := <-p.turn
	p.dead = f == diesBefore || f == diesAfter
	return f
}

// step runs f as the process of the context is told to; outside of a process it just runs f.
func step(ctx context.Context, name string, f func() error) error {
	p, ok := ctx.Value(processKey{}).(*process)
	if !ok {
		return f()
	}
	switch p.await(name) {
	case failsBefore:
		return errFault
	case failsAfter:
		return errors.Join(errFault, f())
	case diesBefore:
		return errDead
	case diesAfter:
		return errors.Join(errDead, f())
	}
	return f()
}

// redisSteps makes a step of every command and every pipeline.
type redisSteps struct{}

func (redisSteps) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) { return next(ctx, network, addr) }
}

func (redisSteps) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		return step(ctx, cmd.Name(), func() error { return next(ctx, cmd) })
	}
}

func (redisSteps) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		return step(ctx, "pipeline", func() error { return next(ctx, cmds) })
	}
}

// dbSteps makes a step of every query outside of transactions and of every whole transaction: what happens inside is
// the database's affair.
type dbSteps struct{ *sql.DB }

func (d dbSteps) QueryContext(ctx context.Context, query string, args ...any) (rows *sql.Rows, err error) {
	err = step(ctx, "query", func() error {
		rows, err = d.DB.QueryContext(ctx, query, args...)
		return err
	})
	if err != nil && rows != nil {
		err = errors.Join(err, rows.Close())
	}
	return rows, err
}

func (d dbSteps) ExecContext(ctx context.Context, query string, args ...any) (r sql.Result, err error) {
	err = step(ctx, "exec", func() error {
		r, err = d.DB.ExecContext(ctx, query, args...)
		return err
	})
	return r, err
}

// BeginTx asks for the fate of the whole transaction, of which Commit then has the latter half.
func (d dbSteps) BeginTx(ctx context.Context, opt *sql.TxOptions) (gorm.ConnPool, error) {
	f := succeeds
	if p, ok := ctx.Value(processKey{}).(*process); ok {
		f = p.await("transaction")
	}
	switch f {
	case failsBefore:
		return nil, errFault
	case diesBefore:
		return nil, errDead
	}
	tx, err := d.DB.BeginTx(ctx, opt)
	return &txSteps{tx, f}, err
}

type txSteps struct {
	*sql.Tx
	fate fate
}

func (t *txSteps) Commit() error {
	err := t.Tx.Commit()
	switch t.fate {
	case failsAfter:
		err = errors.Join(errFault, err)
	case diesAfter:
		err = errors.Join(errDead, err)
	}
	return err
}

// GetDBConn implements gorm.GetDBConnector.
func (d dbSteps) GetDBConn() (*sql.DB, error) { return d.DB, nil }

// inSteps makes everything that goes through the pool a step. sql.DB finds gorm's own way to begin a transaction
// taken by dbSteps.
func inSteps(db *gorm.DB) error {
	pool, err := db.DB()
	if err != nil {
		return err
	}
	db.ConnPool = dbSteps{pool}
	db.Statement.ConnPool = db.ConnPool
	return nil
}
