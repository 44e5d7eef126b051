package models

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"gorm.io/gorm"
)

// mysqlLock is a lock of the MySQL server that one program holds at a time on one database. It lives and dies
// with the connection that took it, so a killed program cannot leave it behind.
type mysqlLock struct {
	name    string       // at most 16 characters
	waiting func(string) // told when another program holds it; may be nil
}

// key is the lock's name on the server, which all its databases share and which is limited to 64 characters.
// MySQL 9 has no SHA1 any more.
const key = "CONCAT('paidui:', ?, ':', LEFT(SHA2(DATABASE(), 256), 40))"

// hold runs work while conn holds the lock. It waits until the lock is free or ctx ends.
func (l mysqlLock) hold(ctx context.Context, conn *sql.Conn, work func() error) (err error) {
	if err := l.take(ctx, conn); err != nil {
		return err
	}
	defer func() {
		_, releasing := conn.ExecContext(context.WithoutCancel(ctx), "SELECT RELEASE_LOCK("+key+")", l.name)
		err = errors.Join(err, releasing)
	}()
	return work()
}

func (l mysqlLock) take(ctx context.Context, conn *sql.Conn) error {
	const seconds = 1 // each wait is short, so that a server that is gone is noticed
	for tries := 0; ; tries++ {
		var got sql.NullInt64
		if err := conn.QueryRowContext(ctx, "SELECT GET_LOCK("+key+", ?)", l.name, seconds).Scan(&got); err != nil {
			return fmt.Errorf("waiting for the %s lock: %w", l.name, err)
		}
		if !got.Valid {
			return errors.New("MySQL could not take the " + l.name + " lock")
		}
		if got.Int64 == 1 {
			return nil
		}
		if l.waiting != nil && tries == 0 {
			l.waiting(l.name)
		}
	}
}

// TransactLocked runs work in a transaction on the connection conn of a MySQL database, which holds the named lock
// meanwhile: one program at a time does, as long as ctx lasts. The name has 16 characters at most.
func TransactLocked(ctx context.Context, conn *gorm.DB, name string, work func(tx *gorm.DB) error) error {
	session, ok := conn.Statement.ConnPool.(*sql.Conn)
	if !ok {
		return fmt.Errorf("want one connection, not a %T", conn.Statement.ConnPool)
	}
	return mysqlLock{name: name}.hold(ctx, session, func() error { return conn.Transaction(work) })
}
