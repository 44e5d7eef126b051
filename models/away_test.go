package models_test

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/paidui/paidui/deploy/testenv"
	"github.com/paidui/paidui/models"
	"github.com/paidui/paidui/models/away"
	"github.com/paidui/paidui/models/shop"
)

func TestIsAway(t *testing.T) {
	t.Parallel()
	byMySQL := func(number uint16) error { return fmt.Errorf("x: %w", &mysql.MySQLError{Number: number}) }
	for _, err := range []error{
		driver.ErrBadConn, mysql.ErrInvalidConn, io.EOF, net.ErrClosed, redis.ErrPoolTimeout,
		&net.OpError{Op: "dial", Err: errors.New("refused")}, &net.DNSError{Err: "no such host", IsNotFound: true},
		fmt.Errorf("x: %w", &away.Error{Err: context.DeadlineExceeded}),
		errors.Join(errors.New("x"), driver.ErrBadConn), errors.Join(context.DeadlineExceeded, &net.OpError{Op: "read", Err: errors.New("x")}),
		byMySQL(1040), byMySQL(1053), byMySQL(1205), byMySQL(1213), byMySQL(1290), byMySQL(1317), byMySQL(1792), byMySQL(1836), byMySQL(3024),
	} {
		require.True(t, models.IsAway(err), "%v", err)
		var marked *away.Error
		require.ErrorAs(t, models.MarkAway(err), &marked)
		require.Equal(t, err.Error(), models.MarkAway(err).Error())
		require.ErrorIs(t, models.MarkAway(err), err)
	}
	for _, err := range []error{
		nil, errors.New("x"), context.Canceled, context.DeadlineExceeded, fmt.Errorf("x: %w", context.DeadlineExceeded),
		redis.Nil, gorm.ErrRecordNotFound, gorm.ErrDuplicatedKey, byMySQL(1062), byMySQL(1064), byMySQL(1054), byMySQL(1406),
	} {
		require.False(t, models.IsAway(err), "%v", err)
		require.Equal(t, err, models.MarkAway(err))
	}
}

// TestASilentDatabaseIsMarked has a server that takes statements and does not answer.
func TestASilentDatabaseIsMarked(t *testing.T) {
	t.Parallel()
	u, err := url.Parse(testenv.MySQL(t))
	require.NoError(t, err)
	proxy := testenv.NewProxy(t, u.Host)
	u.Host = proxy.Addr
	db, err := models.Open(t.Context(), u.String(), models.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, models.Close(db)) })
	require.NoError(t, shop.Migrate(t.Context(), db))
	for name, call := range map[string]func(db *gorm.DB) error{
		"query": func(db *gorm.DB) error { return db.Find(&[]struct{ ID int64 }{}, "id = 1").Error },
		"exec":  func(db *gorm.DB) error { return db.Exec("DO 1").Error },
		"begin": func(db *gorm.DB) error { return db.Begin().Error },
		"transaction": func(db *gorm.DB) error {
			return db.Transaction(func(tx *gorm.DB) error { return tx.Exec("DO 1").Error })
		},
	} {
		proxy.Stall(true)
		ctx, cancel := context.WithTimeout(t.Context(), 1200*time.Millisecond)
		err = call(db.WithContext(ctx).Table("orders"))
		cancel()
		var away *away.Error
		require.ErrorAs(t, err, &away, name)
		require.ErrorIs(t, err, context.DeadlineExceeded, name)
		proxy.Stall(false)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Nanosecond)
	defer cancel()
	err = db.WithContext(ctx).Exec("DO 1").Error
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.False(t, models.IsAway(err), "a caller whose time is up says nothing about the server")

	proxy.Away(true)
	require.True(t, models.IsAway(db.WithContext(t.Context()).Exec("DO 1").Error))
}
