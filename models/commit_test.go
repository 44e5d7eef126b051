package models_test

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/paidui/paidui/models"
	"github.com/paidui/paidui/models/shop"
)

func eachAfterCommit(t *testing.T, test func(t *testing.T, db *gorm.DB)) {
	t.Helper()
	t.Parallel()
	eachMigrated(t, func(t *testing.T, db *gorm.DB) {
		for name, prepared := range map[string]bool{"plain": false, "prepared": true} {
			t.Run(name, func(t *testing.T) {
				test(t, db.Session(&gorm.Session{PrepareStmt: prepared, Context: t.Context()}))
			})
		}
	})
}

// insert writes a row that can be counted.
func insert(t *testing.T, tx *gorm.DB, title string) {
	t.Helper()
	require.NoError(t, tx.Create(&shop.Banner{Title: title}).Error)
}

func count(t *testing.T, db *gorm.DB, title string) (n int64) {
	t.Helper()
	require.NoError(t, db.Model(&shop.Banner{}).Where("title = ?", title).Count(&n).Error)
	return n
}

func TestAfterCommitRunsOnceTheRowsAreThere(t *testing.T) {
	eachAfterCommit(t, func(t *testing.T, db *gorm.DB) {
		var calls []string
		err := db.Transaction(func(tx *gorm.DB) error {
			insert(t, tx, t.Name())
			for _, name := range []string{"first", "second"} {
				require.True(t, models.AfterCommit(tx, func() {
					require.EqualValues(t, 1, count(t, db, t.Name()), "another connection sees the row")
					calls = append(calls, name)
				}))
			}
			require.Empty(t, calls)
			return nil
		})
		require.NoError(t, err)
		require.Equal(t, []string{"first", "second"}, calls)
	})
}

func TestAfterCommitByHand(t *testing.T) {
	eachAfterCommit(t, func(t *testing.T, db *gorm.DB) {
		calls := 0
		tx := db.Begin()
		require.NoError(t, tx.Error)
		insert(t, tx, t.Name())
		require.True(t, models.AfterCommit(tx.Where("id = 1"), func() { calls++ }), "of a statement under way")
		pool, err := tx.DB()
		require.NoError(t, err)
		own, err := db.DB()
		require.NoError(t, err)
		require.Same(t, own, pool)
		require.NoError(t, tx.Commit().Error)
		require.Equal(t, 1, calls)
		require.Error(t, tx.Commit().Error)
		require.Equal(t, 1, calls, "a second commit is none")
	})
}

func TestAfterCommitIsDroppedWithTheTransaction(t *testing.T) {
	eachAfterCommit(t, func(t *testing.T, db *gorm.DB) {
		never := func() { t.Error("called without a commit") }
		because := errors.New("because")
		err := db.Transaction(func(tx *gorm.DB) error {
			insert(t, tx, t.Name())
			require.True(t, models.AfterCommit(tx, never))
			return because
		})
		require.ErrorIs(t, err, because)
		require.Panics(t, func() {
			_ = db.Transaction(func(tx *gorm.DB) error {
				insert(t, tx, t.Name())
				require.True(t, models.AfterCommit(tx, never))
				panic("in the middle")
			})
		})
		ctx, cancel := context.WithCancel(t.Context())
		tx := db.WithContext(ctx).Begin()
		insert(t, tx, t.Name())
		require.True(t, models.AfterCommit(tx, never))
		cancel()
		require.Error(t, tx.Commit().Error)
		require.Zero(t, count(t, db, t.Name()))
	})
}

func TestAfterCommitFollowsSavepoints(t *testing.T) {
	eachAfterCommit(t, func(t *testing.T, db *gorm.DB) {
		var calls []string
		note := func(tx *gorm.DB, name string) {
			insert(t, tx, t.Name())
			require.True(t, models.AfterCommit(tx, func() { calls = append(calls, name) }))
		}
		because := errors.New("because")
		err := db.Transaction(func(tx *gorm.DB) error {
			note(tx, "before")
			require.ErrorIs(t, tx.Transaction(func(inner *gorm.DB) error {
				note(inner, "inner, rolled back")
				return inner.Transaction(func(innermost *gorm.DB) error {
					note(innermost, "innermost, rolled back with it")
					return because
				})
			}), because)
			require.NoError(t, tx.Transaction(func(inner *gorm.DB) error {
				note(inner, "inner")
				return nil
			}))
			note(tx, "after")
			require.NoError(t, tx.SavePoint("again").Error)
			note(tx, "after a savepoint, rolled back")
			require.NoError(t, tx.RollbackTo("again").Error)
			note(tx, "between")
			require.NoError(t, tx.RollbackTo("again").Error)
			return nil
		})
		require.NoError(t, err)
		require.Equal(t, []string{"before", "inner", "after"}, calls)
		require.EqualValues(t, 3, count(t, db, t.Name()))
	})
}

func TestAfterCommitOutsideATransaction(t *testing.T) {
	eachAfterCommit(t, func(t *testing.T, db *gorm.DB) {
		never := func() { t.Error("called without a transaction") }
		require.False(t, models.AfterCommit(db, never))
		require.NoError(t, db.Connection(func(conn *gorm.DB) error {
			return conn.Transaction(func(tx *gorm.DB) error {
				require.False(t, models.AfterCommit(tx, never))
				return nil
			})
		}))
	})
}

func TestBeginReportsAClosedDatabase(t *testing.T) {
	t.Parallel()
	db, err := models.Open(t.Context(), "sqlite://:memory:", models.Options{})
	require.NoError(t, err)
	require.NoError(t, models.Close(db))
	require.Error(t, db.Transaction(func(*gorm.DB) error { return nil }))
	tx := db.Begin()
	require.Error(t, tx.Error)
	require.Error(t, tx.Rollback().Error)
	require.Error(t, tx.Commit().Error)
}
