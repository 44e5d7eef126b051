package models

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/go-sql-driver/mysql"
	gormmysql "gorm.io/driver/mysql"
	"gorm.io/gorm"

	"github.com/paidui/paidui/models/tlsfile"
)

// Server error numbers, the same on MySQL and MariaDB.
const (
	errDuplicateEntry      = 1062
	errAccessDenied        = 1045
	errDatabaseDenied      = 1044
	errUnknownDatabase     = 1049
	errNoSuchTable         = 1146
	errDeadlock            = 1213
	errRecordChanged       = 1020 // MariaDB since 11.6, when a row is younger than the transaction's snapshot
	errUnknown             = 1105
	errRowTooLarge         = 1118
	errPacketTooLarge      = 1153
	errReadOnly            = 1290
	errReadOnlyMode        = 1836
	errReadOnlyTransaction = 1792
	errWrongValue          = 1366 // with the SQLSTATE "general error" on MySQL
	errCheckViolated       = 3819 // on MySQL, with the same
)

func openMySQL(ctx context.Context, databaseURL string, opt Options) (*gorm.DB, error) {
	config, files, err := mysqlConfig(databaseURL)
	if err == nil && files.Given() {
		config.TLS, err = files.Config()
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w: %w", Setting, ErrConfig, err)
	}
	config.Logger = driverLogger{opt.Logger}

	pool, err := connect(ctx, config)
	if isMySQL(err, errUnknownDatabase) && opt.CreateDatabase {
		if err = createDatabase(ctx, config); err == nil {
			opt.Logger.InfoContext(ctx, "database created", "database", config.DBName)
			pool, err = connect(ctx, config)
		}
	}
	if err != nil {
		return nil, explain(err, config)
	}
	if err := checkSession(ctx, pool, config.Addr, opt.Logger); err != nil {
		hangUp(pool)
		return nil, err
	}
	// Six processes of this size stay within MySQL's default of 151 connections. A connection is given up after
	// a minute: reads do not notice that the old primary which they are answered by is one no more.
	pool.SetMaxOpenConns(25)
	pool.SetMaxIdleConns(25)
	pool.SetConnMaxIdleTime(time.Minute)
	pool.SetConnMaxLifetime(time.Minute)
	return wrap(pool, gormmysql.New(gormmysql.Config{
		Conn:      connections{pool},
		DSNConfig: config,
		// MariaDB could return rows from INSERT, MySQL cannot: the same statements on both.
		DisableWithReturning: true,
	}), opt.Logger)
}

// mysqlConfig reads the URL, and not the files that it names for TLS. Its errors quote nothing of it: with an unescaped special character in the password,
// any part, the port or the path even, may be a piece of the password.
func mysqlConfig(databaseURL string) (config *mysql.Config, files tlsfile.Files, err error) {
	config, files, err = readMySQLURL(databaseURL)
	if err != nil {
		return nil, tlsfile.Files{}, err
	}
	if files.Given() && (config.TLSConfig != "" && config.TLSConfig != "true" || config.Net == "unix") {
		return nil, tlsfile.Files{}, errors.New("ca_file, cert_file and key_file are for a host with tls=true, which may be left out then")
	}
	return config, files, nil
}

func readMySQLURL(databaseURL string) (*mysql.Config, tlsfile.Files, error) {
	fail := func(err error) (*mysql.Config, tlsfile.Files, error) { return nil, tlsfile.Files{}, err }
	u, err := url.Parse(databaseURL)
	if err != nil {
		return fail(errURLForm)
	}
	name := strings.TrimPrefix(u.Path, "/")
	if name == "" || strings.ContainsAny(name, "/@:`") || len(name) > 64 || u.Fragment != "" {
		return fail(errURLForm)
	}
	options, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return fail(errURLForm)
	}
	files, err := tlsfile.Take(options)
	if err != nil {
		return fail(err)
	}
	for key, values := range options {
		if (key != "socket" && key != "tls") || len(values) != 1 || values[0] == "" {
			return fail(errors.New("the only options of a mysql URL are socket=PATH, tls=true|skip-verify|preferred|false, ca_file=PATH, cert_file=PATH and key_file=PATH, each once"))
		}
	}

	config := mysql.NewConfig()
	config.User = u.User.Username()
	config.Passwd, _ = u.User.Password()
	config.DBName = name
	if config.User == "" {
		return fail(errors.New("the URL names no user: mysql://USER:PASSWORD@HOST:PORT/DATABASE"))
	}
	if socket := options.Get("socket"); socket != "" {
		config.Net, config.Addr = "unix", socket
	} else {
		port := u.Port()
		if port == "" {
			port = "3306"
		}
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 || u.Hostname() == "" {
			return fail(errURLForm)
		}
		config.Net, config.Addr = "tcp", net.JoinHostPort(u.Hostname(), port)
	}
	switch mode := options.Get("tls"); mode {
	case "", "true", "skip-verify", "preferred", "false":
		config.TLSConfig = mode
	default:
		return fail(errors.New("the option tls must be true, skip-verify, preferred or false"))
	}

	config.ParseTime = true
	config.Loc = time.UTC
	config.InterpolateParams = true // one round trip a query instead of three
	config.Timeout = 5 * time.Second
	config.WriteTimeout = 30 * time.Second
	// As the server has it: a larger statement is then an error by itself, and not a connection that breaks.
	config.MaxAllowedPacket = 0
	// No ReadTimeout: a migration may take its time. Contexts bound every other query.
	config.Params = sessionParams()
	return config, files, config.Apply(mysql.Charset("utf8mb4", ""), mysql.TimeTruncate(time.Microsecond))
}

var errURLForm = errors.New("the URL must have the form mysql://USER:PASSWORD@HOST:PORT/DATABASE," +
	" with special characters in the password percent-encoded (@ is %40, / is %2F, # is %23, ? is %3F, % is %25)")

func connect(ctx context.Context, config *mysql.Config) (*sql.DB, error) {
	connector, err := newSessions(config)
	if err != nil {
		return nil, err
	}
	pool := sql.OpenDB(connector)
	if err := pool.PingContext(ctx); err != nil {
		hangUp(pool)
		return nil, err
	}
	return pool, nil
}

// hangUp ends all connections of a pool. All that can fail is the word of farewell (COM_QUIT) to a server that has gone or
// has closed the connection: by then nothing that was asked for is unanswered, and the driver closes its end all the same.
func hangUp(pool *sql.DB) { _ = pool.Close() }

func createDatabase(ctx context.Context, config *mysql.Config) error {
	server := config.Clone()
	server.DBName = ""
	pool, err := connect(ctx, server)
	if err != nil {
		return err
	}
	defer hangUp(pool)
	_, err = pool.ExecContext(ctx, createStatement(config))
	return err
}

func createStatement(config *mysql.Config) string {
	return "CREATE DATABASE IF NOT EXISTS `" + config.DBName + "` CHARACTER SET utf8mb4"
}

// explain says what an operator can do about a failed connection.
func explain(err error, config *mysql.Config) error {
	switch {
	case isMySQL(err, errUnknownDatabase): // no ErrConfig: an api that starts now will make it
		return fmt.Errorf("%s: MySQL at %s has no database %q; start an api, which makes it, or run: %s: %w",
			Setting, config.Addr, config.DBName, createStatement(config), err)
	case isMySQL(err, errDatabaseDenied):
		return fmt.Errorf("%s: MySQL at %s has no database %q that user %q may use; run: %s: %w: %w",
			Setting, config.Addr, config.DBName, config.User, createStatement(config), ErrConfig, err)
	case tlsfile.Untrusted(err):
		return fmt.Errorf("%s: MySQL at %s has a certificate that is not trusted: name its authority with ca_file in the URL: %w: %w",
			Setting, config.Addr, ErrConfig, err)
	case isMySQL(err, errAccessDenied):
		return fmt.Errorf("%s: MySQL at %s refuses user %q: %w: %w", Setting, config.Addr, config.User, ErrConfig, err)
	}
	return fmt.Errorf("%s: cannot connect to MySQL at %s: %w", Setting, config.Addr, err)
}

func isMySQL(err error, number uint16) bool {
	var refused *mysql.MySQLError
	return errors.As(err, &refused) && refused.Number == number
}

// driverLogger passes on what the driver has to say about connections that broke.
type driverLogger struct{ logger *slog.Logger }

func (l driverLogger) Print(v ...any) {
	l.logger.Warn("mysql driver", "event", strings.TrimSpace(fmt.Sprintln(v...)))
}
