package models

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"gorm.io/gorm"
)

// Setting names the variable that holds the database URL, for error messages.
const Setting = "PAIDUI_DATABASE_URL"

// ErrConfig is wrapped by the errors of Open that no waiting will mend: a URL that makes no sense, refused
// credentials, a database that the user may not use.
var ErrConfig = errors.New("wrong database configuration")

// Options are what Open may be given beyond the URL.
type Options struct {
	// Logger takes slow and failed queries, without their parameters, and at debug level every query.
	// Nil logs nothing.
	Logger *slog.Logger
	// CreateDatabase makes the MySQL database if the server does not have it; it is for the program that also
	// migrates. SQLite files are always made.
	CreateDatabase bool
}

// Open connects to mysql://USER:PASSWORD@HOST:PORT/DATABASE, with percent-encoding where the password needs it and
// the options socket (the path of a Unix socket, instead of the host), tls (true, skip-verify, preferred, false),
// ca_file, and cert_file with key_file (see tlsfile; they imply tls=true), or to sqlite://FILE, where the file may be :memory:. It returns after the server has answered.
//
// Times go in and come out as UTC, in microseconds. The result is for concurrent use; end it with Close.
// An error names the setting and the server, and never the password.
func Open(ctx context.Context, databaseURL string, opt Options) (*gorm.DB, error) {
	if opt.Logger == nil {
		opt.Logger = slog.New(slog.DiscardHandler)
	}
	scheme, rest, _ := strings.Cut(databaseURL, "://")
	switch scheme {
	case "mysql":
		return openMySQL(ctx, databaseURL, opt)
	case "sqlite":
		return openSQLite(ctx, rest, opt)
	case "":
		return nil, fmt.Errorf("%s is empty: %w", Setting, ErrConfig)
	}
	return nil, fmt.Errorf("%s must begin with mysql:// or sqlite://: %w", Setting, ErrConfig)
}

// Ping asks the server for a sign of life.
func Ping(ctx context.Context, db *gorm.DB) error {
	pool, err := db.DB()
	if err != nil {
		return err
	}
	return pool.PingContext(ctx)
}

// Close ends all connections. Queries that run are waited for. That a server is gone already, and can't be told of the
// end, is no error.
func Close(db *gorm.DB) error {
	pool, err := db.DB()
	if err != nil {
		return err
	}
	if db.Name() == "mysql" {
		hangUp(pool)
		return nil
	}
	return pool.Close()
}

// wrap puts GORM on a pool that has answered.
func wrap(pool *sql.DB, dialector gorm.Dialector, logger *slog.Logger) (*gorm.DB, error) {
	db, err := gorm.Open(dialector, &gorm.Config{
		Logger:         &queryLogger{logger: logger},
		NowFunc:        func() time.Time { return time.Now().UTC().Truncate(time.Microsecond) },
		TranslateError: true,
		// One statement is atomic by itself; whoever writes several opens a transaction.
		SkipDefaultTransaction: true,
		DisableAutomaticPing:   true,
	})
	if err != nil {
		return nil, errors.Join(err, pool.Close())
	}
	return db, nil
}
