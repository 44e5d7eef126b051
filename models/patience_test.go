package models_test

import (
	"context"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/paidui/paidui/deploy/testenv"
	"github.com/paidui/paidui/models"
	"github.com/paidui/paidui/models/shop"
)

// TestATransactionEndsWithItsContext has a server that takes the end of a transaction, and does not answer.
func TestATransactionEndsWithItsContext(t *testing.T) {
	t.Parallel()
	u, err := url.Parse(testenv.MySQL(t))
	require.NoError(t, err)
	proxy := testenv.NewProxy(t, u.Host)
	u.Host = proxy.Addr
	db, err := models.Open(t.Context(), u.String(), models.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, models.Close(db)) })
	require.NoError(t, shop.Migrate(t.Context(), db))

	for name, end := range map[string]func(*gorm.DB) error{
		"commit":   func(tx *gorm.DB) error { return tx.Commit().Error },
		"rollback": func(tx *gorm.DB) error { return tx.Rollback().Error },
	} {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		tx := db.WithContext(ctx).Begin()
		require.NoError(t, tx.Error)
		insert(t, tx, name)
		after := make(chan struct{})
		require.True(t, models.AfterCommit(tx, func() { close(after) }))

		proxy.Stall(true)
		time.AfterFunc(100*time.Millisecond, cancel)
		ended := make(chan error, 1)
		go func() { ended <- end(tx) }()
		select {
		case err := <-ended:
			require.Error(t, err, name)
		case <-time.After(30 * time.Second):
			t.Fatalf("the %s goes on though its context has ended", name)
		}
		proxy.Stall(false)
		if name == "commit" {
			select {
			case <-after:
			case <-time.After(30 * time.Second):
				t.Fatal("a commit that succeeds after all does what is to be done after it")
			}
			require.EqualValues(t, 1, count(t, db, name))
		}
	}
}
