package tasks

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"sync"
	"testing"

	driver "github.com/go-sql-driver/mysql"
	"github.com/stretchr/testify/require"
	"gorm.io/driver/mysql"
	"gorm.io/gorm"

	"github.com/paidui/paidui/deploy/testenv"
	"github.com/paidui/paidui/models"
)

func eachDatabase(t *testing.T, test func(t *testing.T, db *gorm.DB)) {
	t.Parallel()
	for name, url := range map[string]func() string{
		"mariadb": func() string { return testenv.MySQL(t) },
		"sqlite":  func() string { return "sqlite://:memory:" },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db, err := models.Open(t.Context(), url(), models.Options{})
			require.NoError(t, err)
			t.Cleanup(func() { require.NoError(t, models.Close(db)) })
			require.NoError(t, models.Migrate(t.Context(), db))
			test(t, db)
		})
	}
}

// as is the context of a handler whose task has the id.
func as(ctx context.Context, id string, d *fakeDelivery) context.Context {
	m := fakeMux(d, MuxOptions{})
	a := &attempt{mux: m, Task: Task{ID: id, Name: "test.job"}, delivery: d}
	a.Task.run = a
	return context.WithValue(ctx, taskKey{}, &a.Task)
}

func effects(t *testing.T, db *gorm.DB) int64 {
	t.Helper()
	var n int64
	require.NoError(t, db.Model(&models.Banner{}).Count(&n).Error)
	return n
}

// effect is what a handler does: the row and the mark in one transaction. after runs before the commit.
func effect(ctx context.Context, db *gorm.DB, after func() error) (first bool, err error) {
	err = db.Transaction(func(tx *gorm.DB) error {
		if first, err = Once(ctx, tx); err != nil || !first {
			return err
		}
		if err := tx.Create(&models.Banner{Title: "an effect"}).Error; err != nil {
			return err
		}
		return after()
	})
	return first, err
}

func fine() error { return nil }

func TestEffectsOfATask(t *testing.T) {
	eachDatabase(t, func(t *testing.T, db *gorm.DB) {
		ctx := as(t.Context(), "a", newFake())
		_, err := effect(ctx, db, func() error { return errors.New("the worker dies") })
		require.Error(t, err)
		require.Zero(t, effects(t, db), "the mark is rolled back with the effects")

		first, err := effect(ctx, db, fine)
		require.NoError(t, err)
		require.True(t, first)
		for range 2 { // it died after the commit, and runs again
			first, err = effect(as(t.Context(), "a", newFake()), db, fine)
			require.NoError(t, err)
			require.False(t, first)
		}
		first, err = effect(as(t.Context(), "A", newFake()), db, fine)
		require.NoError(t, err)
		require.True(t, first, "another task")
		require.Equal(t, int64(2), effects(t, db))
	})
}

// Attempts of one task at the same time, as when a worker that was cut off comes back; some die in the middle.
func TestEffectsOfAttemptsAtTheSameTime(t *testing.T) {
	eachDatabase(t, func(t *testing.T, db *gorm.DB) {
		const rounds, attempts = 5, 6
		for round := range rounds {
			id := fmt.Sprint("task-", round)
			var all sync.WaitGroup
			for n := range attempts {
				all.Go(func() {
					dies := errors.New("the worker dies")
					for {
						_, err := effect(as(t.Context(), id, newFake()), db, func() error {
							if n%2 == 0 {
								return dies
							}
							return nil
						})
						if err == nil || errors.Is(err, dies) {
							return
						}
						if deadlock := new(driver.MySQLError); !errors.As(err, &deadlock) || deadlock.Number != 1213 {
							t.Errorf("attempt %d: %v", n, err)
							return
						}
					}
				})
			}
			all.Wait()
			require.Equal(t, int64(round+1), effects(t, db))
		}
	})
}

func TestEffectsOfAFencedAttempt(t *testing.T) {
	eachDatabase(t, func(t *testing.T, db *gorm.DB) {
		d := newFake()
		d.refuseAll(ErrFenced)
		_, err := effect(as(t.Context(), "a", d), db, fine)
		require.ErrorIs(t, err, ErrFenced)

		away := errors.New("no route to host")
		d.refuseAll(away)
		_, err = effect(as(t.Context(), "a", d), db, fine)
		require.ErrorIs(t, err, away)
		require.Zero(t, effects(t, db))
	})
}

// TestEffectsWhereRowsAreCountedDifferently: some programs have the driver count the rows that it found.
func TestEffectsWhereRowsAreCountedDifferently(t *testing.T) {
	t.Parallel()
	raw := testenv.MySQL(t)
	ours, err := models.Open(t.Context(), raw, models.Options{})
	require.NoError(t, err)
	require.NoError(t, models.Migrate(t.Context(), ours))
	require.NoError(t, models.Close(ours))
	u, err := url.Parse(raw)
	require.NoError(t, err)
	dsn := fmt.Sprintf("%s@tcp(%s)%s?clientFoundRows=true&parseTime=true", u.User, u.Host, u.Path)
	db, err := gorm.Open(mysql.Open(dsn), &gorm.Config{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, models.Close(db)) })
	for _, want := range []bool{true, false, false} {
		first, err := effect(as(t.Context(), "a", newFake()), db, fine)
		require.NoError(t, err)
		require.Equal(t, want, first)
	}
}

func TestOnceWantsATransactionAndATask(t *testing.T) {
	eachDatabase(t, func(t *testing.T, db *gorm.DB) {
		ctx := as(t.Context(), "a", newFake())
		_, err := Once(ctx, db)
		require.ErrorContains(t, err, "wants a transaction")
		_, err = Once(ctx, nil)
		require.ErrorContains(t, err, "wants a transaction")
		_, err = effect(t.Context(), db, fine)
		require.ErrorIs(t, err, ErrNoTask)
		first, err := effect(as(t.Context(), "a", newFake()), db, fine)
		require.NoError(t, err)
		require.True(t, first)
	})
}
