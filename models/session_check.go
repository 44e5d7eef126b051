package models

import (
	"context"
	"database/sql"
	"fmt"
	"log/slog"
	"strings"
)

// leastPacket is the max_allowed_packet that everything fits which this program writes; it is MariaDB's default, and MySQL's
// is larger.
const leastPacket = 16 << 20

// checkSession finds out whether a new connection has what every connection sets for itself. A proxy between may keep it
// from that; then writes would be lost, or mean something else.
func checkSession(ctx context.Context, pool *sql.DB, server string, logger *slog.Logger) error {
	conn, err := pool.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	var autocommit, packet int64
	var mode, zone string
	err = conn.QueryRowContext(ctx, "SELECT @@SESSION.autocommit, @@SESSION.sql_mode, @@SESSION.time_zone, @@max_allowed_packet").
		Scan(&autocommit, &mode, &zone, &packet)
	if err != nil {
		return fmt.Errorf("reading the settings of the session: %w", err)
	}
	isolation, err := isolationOf(ctx, conn)
	if err != nil {
		return fmt.Errorf("reading the isolation level of the session: %w", err)
	}
	var wrong []string
	expect := func(name, have, want string, fine bool) {
		if !fine {
			wrong = append(wrong, fmt.Sprintf("%s is %q, not %q", name, have, want))
		}
	}
	expect("autocommit", fmt.Sprint(autocommit), "1", autocommit == 1)
	expect("sql_mode", mode, sqlMode, hasStrictMode(mode))
	expect("time_zone", zone, "+00:00", zone == "+00:00")
	expect("transaction_isolation", isolation, "REPEATABLE-READ", isolation == "REPEATABLE-READ")
	if len(wrong) > 0 {
		return fmt.Errorf("%s: MySQL at %s: %s, though the session has set it: have the proxy between pass on what a session sets: %w",
			Setting, server, strings.Join(wrong, "; "), ErrConfig)
	}
	if packet < leastPacket {
		logger.WarnContext(ctx, "max_allowed_packet of MySQL is small: tasks with large arguments can't be kept in the outbox, "+
			"and the history leaves theirs out; run SET GLOBAL max_allowed_packet = "+fmt.Sprint(leastPacket)+", and set it in the server's file",
			"server", server, "max_allowed_packet", packet, "want", leastPacket)
	}
	return nil
}

// hasStrictMode tells whether a session is strict, and reads quotes and operators as this program writes them.
func hasStrictMode(mode string) bool {
	strict := false
	for _, one := range strings.Split(strings.ToUpper(mode), ",") {
		switch one {
		case "STRICT_TRANS_TABLES", "STRICT_ALL_TABLES":
			strict = true
		case "ANSI_QUOTES", "PIPES_AS_CONCAT", "NO_BACKSLASH_ESCAPES", "NO_AUTO_VALUE_ON_ZERO", "HIGH_NOT_PRECEDENCE", "NO_UNSIGNED_SUBTRACTION":
			return false
		}
	}
	return strict
}

// isolationOf reads the isolation level, whose variable MariaDB before 11.1 calls otherwise.
func isolationOf(ctx context.Context, conn *sql.Conn) (level string, err error) {
	var name string
	err = conn.QueryRowContext(ctx, "SHOW SESSION VARIABLES WHERE Variable_name IN ('transaction_isolation', 'tx_isolation')").Scan(&name, &level)
	return strings.ToUpper(level), err
}
