package models_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/go-sql-driver/mysql"
	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/paidui/paidui/deploy/testenv"
	"github.com/paidui/paidui/models"
	"github.com/paidui/paidui/models/shop"
)

func TestFaultsOfARowAreToldFromADatabaseThatIsAway(t *testing.T) {
	t.Parallel()
	eachMigrated(t, func(t *testing.T, db *gorm.DB) {
		pool, err := db.DB()
		require.NoError(t, err)
		exec := func(statement string, params ...any) error {
			_, err := pool.ExecContext(t.Context(), statement, params...)
			require.Error(t, err)
			return err
		}
		const effects = "INSERT INTO paidui_task_effects (task_id, created_at) VALUES (?, ?)"
		require.True(t, models.IsRowFault(exec(effects, "one", nil)))
		require.True(t, models.IsRowFault(exec("INSERT INTO goods (name, price, stock, starts_at, ends_at, created_at, updated_at) VALUES (?, -1, 0, ?, ?, ?, ?)",
			"茶", opening, opening, opening, opening)))
		require.False(t, models.IsRowFault(exec("INSERT INTO nothing VALUES (1)")))
		if db.Name() == "mysql" {
			require.True(t, models.IsRowFault(exec(effects, strings.Repeat("x", 129), opening)))
			require.True(t, models.IsRowFault(exec(effects, "one", "when")))
			require.True(t, models.IsRowFault(exec(effects, []byte("\xff\xfe"), opening)), "not UTF-8")
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err = pool.ExecContext(ctx, "DELETE FROM goods")
		require.False(t, models.IsRowFault(err))
	})
	for _, number := range []uint16{1040, 1053, 1142, 1205, 1213, 1290, 1114} {
		require.False(t, models.IsRowFault(&mysql.MySQLError{Number: number, SQLState: [5]byte([]byte("HY000"))}), number)
	}
}

func TestAStatementLargerThanAPacketIsAFaultOfTheRow(t *testing.T) {
	t.Parallel()
	server, err := testenv.StartMariaDB("--max-allowed-packet=65536")
	require.NoError(t, err)
	t.Cleanup(server.Stop)
	databaseURL, err := server.Database(t.Context(), "small")
	require.NoError(t, err)
	db := open(t, databaseURL, models.Options{})
	require.NoError(t, shop.Migrate(t.Context(), db))
	row := models.OutboxRow{TaskID: "large", Body: strings.Repeat("x", 100_000)}
	err = db.Create(&row).Error
	require.True(t, models.IsRowFault(err), "%v", err)
	require.Equal(t, "larger than max_allowed_packet", models.Reason(err))
	require.NoError(t, db.Create(&models.OutboxRow{TaskID: "small"}).Error)
}

func TestReasonQuotesNothing(t *testing.T) {
	t.Parallel()
	eachMigrated(t, func(t *testing.T, db *gorm.DB) {
		user := shop.User{Mobile: "13800138000"}
		require.NoError(t, db.Create(&user).Error)
		pool, err := db.DB()
		require.NoError(t, err)
		_, err = pool.ExecContext(t.Context(), "INSERT INTO users SELECT * FROM users")
		require.Contains(t, models.Reason(fmt.Errorf("copying: %w", err)), " error 1")
		require.NotContains(t, models.Reason(err), "13800138000")
	})
	require.Equal(t, "no answer in time", models.Reason(context.DeadlineExceeded))
	require.Equal(t, "no answer", models.Reason(errors.New("13800138000")))
}
