package models_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/paidui/paidui/deploy/testenv"
	"github.com/paidui/paidui/models"
	"github.com/paidui/paidui/models/shop"
)

// server starts a MariaDB of the test's own, and returns it with the URL of a database for a user without SUPER.
func server(t *testing.T, args ...string) (s *testenv.MariaDB, databaseURL string, root *gorm.DB) {
	t.Helper()
	s, err := testenv.StartMariaDB(args...)
	require.NoError(t, err)
	t.Cleanup(s.Stop)
	databaseURL, err = s.Database(t.Context(), "shop")
	require.NoError(t, err)
	root = open(t, databaseURL, models.Options{})
	require.NoError(t, root.Exec("CREATE USER app@'127.0.0.1'").Error)
	require.NoError(t, root.Exec("GRANT ALL ON shop.* TO app@'127.0.0.1'").Error)
	return s, strings.Replace(databaseURL, "root@", "app@", 1), root
}

// TestASessionSetsWhatItNeeds on a server whose own settings are the most unlike.
func TestASessionSetsWhatItNeeds(t *testing.T) {
	t.Parallel()
	_, databaseURL, _ := server(t, "--autocommit=0", "--init-connect=SET autocommit=0, sql_mode='ANSI_QUOTES'",
		"--sql-mode=ANSI,NO_BACKSLASH_ESCAPES,NO_AUTO_VALUE_ON_ZERO", "--transaction-isolation=SERIALIZABLE",
		"--default-time-zone=+05:30", "--max-allowed-packet=1M")
	logger, logged := logTo()
	db := open(t, databaseURL, models.Options{Logger: logger})
	require.Contains(t, logged(), "max_allowed_packet of MySQL is small")
	require.NoError(t, shop.Migrate(t.Context(), db))
	require.NoError(t, db.Create(&shop.User{Mobile: "13800138000", Name: `a\b"c`}).Error)

	other := open(t, databaseURL, models.Options{})
	var user shop.User
	require.NoError(t, other.Take(&user).Error, "it is committed")
	require.Equal(t, `a\b"c`, user.Name)

	pool, err := db.DB()
	require.NoError(t, err)
	for range 5 { // each connection
		conn, err := pool.Conn(t.Context())
		require.NoError(t, err)
		defer conn.Close()
		var autocommit int
		var zone, mode, charset, name, isolation string
		require.NoError(t, conn.QueryRowContext(t.Context(),
			"SELECT @@autocommit, @@time_zone, @@sql_mode, @@character_set_connection").Scan(&autocommit, &zone, &mode, &charset))
		require.NoError(t, conn.QueryRowContext(t.Context(),
			"SHOW SESSION VARIABLES WHERE Variable_name IN ('transaction_isolation', 'tx_isolation')").Scan(&name, &isolation))
		require.Equal(t, 1, autocommit)
		require.Equal(t, []string{"+00:00", "utf8mb4", "REPEATABLE-READ"}, []string{zone, charset, isolation})
		require.Equal(t, "STRICT_TRANS_TABLES,NO_ZERO_IN_DATE,NO_ZERO_DATE,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION", sorted(mode))
	}
}

// sorted puts the words of a mode into the order in which the program names them, which servers do not keep.
func sorted(mode string) string {
	var list []string
	for _, word := range []string{"STRICT_TRANS_TABLES", "NO_ZERO_IN_DATE", "NO_ZERO_DATE", "ERROR_FOR_DIVISION_BY_ZERO", "NO_ENGINE_SUBSTITUTION"} {
		if strings.Contains(mode, word) {
			list = append(list, word)
		}
	}
	if strings.Count(mode, ",") != len(list)-1 {
		return mode
	}
	return strings.Join(list, ",")
}

func TestOpenRefusesASessionThatDoesNotKeepItsSettings(t *testing.T) {
	t.Parallel()
	db := open(t, testenv.MySQL(t), models.Options{})
	pool, err := db.DB()
	require.NoError(t, err)
	pool.SetMaxOpenConns(1) // which the settings are then of
	check := func() error { return models.CheckSession(t.Context(), pool, "db:3306") }
	require.NoError(t, check())
	for statement, says := range map[string]string{
		"SET autocommit = 0": `autocommit is "0", not "1"`,
		"SET sql_mode = ''":  `sql_mode is "", not "STRICT_TRANS_TABLES`,
		"SET sql_mode = 'STRICT_TRANS_TABLES,ANSI_QUOTES'":         `sql_mode is "ANSI_QUOTES,STRICT_TRANS_TABLES"`,
		"SET time_zone = '+08:00'":                                 `time_zone is "+08:00", not "+00:00"`,
		"SET SESSION TRANSACTION ISOLATION LEVEL READ UNCOMMITTED": `transaction_isolation is "READ-UNCOMMITTED", not "REPEATABLE-READ"`,
	} {
		require.NoError(t, db.Exec(statement).Error)
		err := check()
		require.ErrorIs(t, err, models.ErrConfig)
		require.ErrorContains(t, err, "PAIDUI_DATABASE_URL: MySQL at db:3306: ")
		require.ErrorContains(t, err, says)
		require.NoError(t, db.Exec("SET autocommit = 1").Error)
		conn, err := pool.Conn(t.Context())
		require.NoError(t, err)
		_ = conn.Raw(func(any) error { return driver.ErrBadConn }) // the next one is sound
	}
}

// TestAfterAFailoverThePoolLeavesTheOldPrimary: the name leads to the new primary, while the connections to the old one,
// which answers and has become read-only, stay.
func TestAfterAFailoverThePoolLeavesTheOldPrimary(t *testing.T) {
	t.Parallel()
	old, databaseURL, oldRoot := server(t)
	heir, _, heirRoot := server(t)
	proxy := testenv.NewProxy(t, old.Addr())
	u, err := url.Parse(databaseURL)
	require.NoError(t, err)
	u.Host = proxy.Addr
	db := open(t, u.String(), models.Options{})
	for _, root := range []*gorm.DB{oldRoot, heirRoot} {
		require.NoError(t, shop.Migrate(t.Context(), root))
	}
	busy := func(n int, work func(ctx context.Context, conn *sql.Conn) error) {
		pool, err := db.DB()
		require.NoError(t, err)
		var group sync.WaitGroup
		all := make(chan struct{})
		var held sync.WaitGroup
		held.Add(n)
		for range n {
			group.Go(func() {
				conn, err := pool.Conn(t.Context())
				held.Done()
				if !assertNoError(t, err) {
					return
				}
				defer conn.Close()
				<-all // so that each has one of its own
				assertNoError(t, work(t.Context(), conn))
			})
		}
		held.Wait()
		close(all)
		group.Wait()
	}
	busy(20, func(ctx context.Context, conn *sql.Conn) error { return conn.PingContext(ctx) })
	pool, err := db.DB()
	require.NoError(t, err)
	require.GreaterOrEqual(t, pool.Stats().Idle, 20)

	require.NoError(t, oldRoot.Exec("SET GLOBAL read_only = 1").Error)
	create := func() error { return db.WithContext(t.Context()).Create(&shop.Banner{Title: "茶"}).Error }
	err = create()
	require.ErrorIs(t, err, driver.ErrBadConn)
	require.ErrorContains(t, err, "read-only", "what the server said is not lost")
	busy(20, func(ctx context.Context, conn *sql.Conn) error { return conn.PingContext(ctx) }) // of the old one again

	proxy.Turn(heir.Addr())
	require.NoError(t, create(), "the first statement after the change is tried on a new connection")
	for range 50 {
		require.NoError(t, create())
	}
	require.NoError(t, db.Transaction(func(tx *gorm.DB) error { return tx.Create(&shop.Banner{Title: "杯"}).Error }))
	var n int64
	require.NoError(t, heirRoot.Model(&shop.Banner{}).Count(&n).Error)
	require.EqualValues(t, 52, n)
	busy(25, func(ctx context.Context, conn *sql.Conn) error {
		_, err := conn.ExecContext(ctx, "INSERT INTO paidui_task_effects (task_id, created_at) VALUES (UUID(), NOW(6))")
		return err
	})
	var left int64
	require.NoError(t, oldRoot.Raw("SELECT COUNT(*) FROM information_schema.processlist WHERE user = 'app'").Scan(&left).Error)
	require.Zero(t, left, "no connection to the old primary is kept")
}

// TestATransactionOnTheOldPrimaryCostsOneTry: the rest of the pool is given up with it. Statements that are prepared are
// watched, too.
func TestATransactionOnTheOldPrimaryCostsOneTry(t *testing.T) {
	t.Parallel()
	old, databaseURL, oldRoot := server(t)
	heir, _, heirRoot := server(t)
	proxy := testenv.NewProxy(t, old.Addr())
	u, err := url.Parse(databaseURL)
	require.NoError(t, err)
	u.Host = proxy.Addr
	for _, root := range []*gorm.DB{oldRoot, heirRoot} {
		require.NoError(t, shop.Migrate(t.Context(), root))
	}
	db := open(t, u.String(), models.Options{})
	pool, err := db.DB()
	require.NoError(t, err)
	var conns []*sql.Conn
	for range 10 {
		conn, err := pool.Conn(t.Context())
		require.NoError(t, err)
		conns = append(conns, conn)
	}
	for _, conn := range conns {
		require.NoError(t, conn.Close())
	}
	require.NoError(t, oldRoot.Exec("SET GLOBAL read_only = 1").Error)
	proxy.Turn(heir.Addr())
	write := func() error {
		return db.Transaction(func(tx *gorm.DB) error {
			statement, err := tx.Statement.ConnPool.PrepareContext(t.Context(), "INSERT INTO paidui_task_effects (task_id, created_at) VALUES (UUID(), NOW(6))")
			if err != nil {
				return err
			}
			defer statement.Close()
			_, err = statement.ExecContext(t.Context())
			return err
		})
	}
	require.ErrorIs(t, write(), driver.ErrBadConn)
	for range 20 {
		require.NoError(t, write())
	}
}

func assertNoError(t *testing.T, err error) bool {
	if err != nil {
		t.Error(err)
	}
	return err == nil
}
