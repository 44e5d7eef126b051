package models

import (
	"context"
	"crypto/rand"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	gosqlite "github.com/glebarez/go-sqlite"
	"github.com/glebarez/sqlite"
	"gorm.io/gorm"
)

// openSQLite opens a file, making it and its folder when they are missing, or a fresh database in memory, which
// lives until Close.
func openSQLite(ctx context.Context, file string, opt Options) (*gorm.DB, error) {
	if file == "" || strings.ContainsAny(file, "?#") {
		return nil, fmt.Errorf("%s: %w: want sqlite://FILE or sqlite://:memory:, without options", Setting, ErrConfig)
	}
	pragmas := url.Values{"_pragma": {
		"busy_timeout(10000)", // milliseconds
		"journal_mode(WAL)",
		"synchronous(NORMAL)",
		"foreign_keys(1)",
	}}
	// A transaction takes the write lock when it begins: one that read first and asked for the lock later would
	// be refused at once, not after the busy timeout, when another has written in between.
	pragmas.Set("_txlock", "immediate")
	if file == ":memory:" {
		file = "/" + rand.Text() // the slash shares it among the connections of this process
		pragmas.Set("vfs", "memdb")
	} else if err := makeFile(file); err != nil {
		return nil, fmt.Errorf("%s: %w", Setting, err)
	}
	uri := url.URL{Scheme: "file", Opaque: (&url.URL{Path: file}).EscapedPath(), RawQuery: pragmas.Encode()}
	pool := sql.OpenDB(sqliteConnector{uri.String()})

	// Reads run side by side, writes one after the other; the bound keeps the number of writers that wait for
	// the lock so small that none of them starves. Connections stay: memory is freed with the last of them.
	const conns = 8
	pool.SetMaxOpenConns(conns)
	pool.SetMaxIdleConns(conns)
	if err := pool.PingContext(ctx); err != nil {
		return nil, fmt.Errorf("%s: cannot open the SQLite file: %w", Setting, errors.Join(err, pool.Close()))
	}
	return wrap(pool, &sqlite.Dialector{Conn: connections{pool}}, opt.Logger)
}

// makeFile makes a missing file for its owner alone, for it holds phone numbers and login codes; SQLite gives the files
// beside it the same mode.
func makeFile(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return f.Close()
}

// sqliteConnector opens connections that store times as MySQL does.
type sqliteConnector struct{ dsn string }

func (c sqliteConnector) Connect(context.Context) (driver.Conn, error) {
	conn, err := c.Driver().Open(c.dsn)
	if err != nil {
		return nil, err
	}
	full, ok := conn.(fullConn)
	if !ok {
		return nil, errors.Join(fmt.Errorf("the SQLite driver's connection is a %T", conn), conn.Close())
	}
	return utcConn{full}, nil
}

func (c sqliteConnector) Driver() driver.Driver { return &gosqlite.Driver{} }

// fullConn is what the driver's connections can do, as database/sql looks for it.
type fullConn interface {
	driver.Conn
	driver.ConnBeginTx
	driver.ConnPrepareContext
	driver.ExecerContext
	driver.QueryerContext
	driver.Pinger
}

// utcConn sends every time in UTC and cut to microseconds. SQLite keeps and compares times as text, so times with
// different offsets would not compare.
type utcConn struct{ fullConn }

// ResetSession implements driver.SessionResetter. With IsValid it has database/sql roll back a transaction whose context
// ends, instead of closing its connection, which may be the last one of a database in memory.
func (utcConn) ResetSession(context.Context) error { return nil }

// IsValid implements driver.Validator.
func (utcConn) IsValid() bool { return true }

// CheckNamedValue implements driver.NamedValueChecker.
func (utcConn) CheckNamedValue(arg *driver.NamedValue) error {
	value, err := driver.DefaultParameterConverter.ConvertValue(arg.Value)
	if err != nil {
		return err
	}
	if t, ok := value.(time.Time); ok {
		value = t.UTC().Truncate(time.Microsecond)
	}
	arg.Value = value
	return nil
}
