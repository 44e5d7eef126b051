package outbox_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"gorm.io/driver/mysql"
	"gorm.io/gorm"

	"github.com/paidui/paidui/deploy/testenv"
	"github.com/paidui/paidui/models"
	"github.com/paidui/paidui/models/shop"
	"github.com/paidui/paidui/tasks"
	"github.com/paidui/paidui/tasks/outbox"
	"github.com/paidui/paidui/tasks/taskstest"
)

// pay is a task whose effect is a row.
var pay = tasks.Define[numberArgs, bool]("test.pay", tasks.MaxRetries(50))

func eachDatabase(t *testing.T, test func(t *testing.T, db *gorm.DB)) {
	t.Helper()
	t.Parallel()
	for name, url := range map[string]func() string{
		"mariadb": func() string { return testenv.MySQL(t) },
		"sqlite":  func() string { return "sqlite://" + filepath.Join(t.TempDir(), "shop.db") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db, err := models.Open(t.Context(), url(), models.Options{})
			require.NoError(t, err)
			t.Cleanup(func() { require.NoError(t, models.Close(db)) })
			require.NoError(t, shop.Migrate(t.Context(), db))
			test(t, db)
		})
	}
}

func effects(t *testing.T, db *gorm.DB) (n int64) {
	t.Helper()
	require.NoError(t, db.Model(&shop.Banner{}).Count(&n).Error)
	return n
}

// effect is what a handler does: the row and the mark in one transaction. after runs before the commit.
func effect(ctx context.Context, db *gorm.DB, after func() error) (first bool, err error) {
	err = db.Transaction(func(tx *gorm.DB) error {
		if first, err = outbox.Once(ctx, tx); err != nil || !first {
			return err
		}
		if err := tx.Create(&shop.Banner{Title: "an effect"}).Error; err != nil {
			return err
		}
		return after()
	})
	return first, err
}

func fine() error { return nil }

// payer is a Redis of its own, and a worker whose handler of pay is h.
func payer(t *testing.T, h func(ctx context.Context) (bool, error)) *tasks.Client {
	t.Helper()
	b := taskstest.Embedded(t)
	mux := tasks.NewMux(tasks.MuxOptions{Logger: testenv.Quiet(), StoreAway: models.IsAway})
	tasks.Handle(mux, pay, func(ctx context.Context, _ numberArgs) (bool, error) { return h(ctx) })
	taskstest.Serve(t, b, mux, "default")
	return tasks.NewClient(b)
}

// TestEffectsOfATask: its worker dies before the commit, and then after it.
func TestEffectsOfATask(t *testing.T) {
	eachDatabase(t, func(t *testing.T, db *gorm.DB) {
		errDies := tasks.RetryIn(0, errors.New("the worker dies"))
		var firsts []bool
		client := payer(t, func(ctx context.Context) (bool, error) {
			attempt := tasks.Current(ctx).Attempt
			first, err := effect(ctx, db, func() error {
				if attempt == 1 {
					return errDies
				}
				return nil
			})
			if attempt == 2 {
				if n := effects(t, db); n != 1 {
					return false, tasks.Permanent(fmt.Errorf("%d effects: the mark is rolled back with the effects", n))
				}
			}
			firsts = append(firsts, first && err == nil)
			if err == nil && attempt < 4 {
				err = errDies
			}
			return first, err
		})
		for i, id := range []string{"a", "A"} {
			firsts = nil
			res, err := pay.Enqueue(t.Context(), client, numberArgs{}, tasks.ID(id))
			require.NoError(t, err)
			if i == 1 {
				require.NoError(t, db.Where("1 = 1").Delete(&shop.Banner{}).Error)
			}
			first, err := res.Get(testenv.Soon(t))
			require.NoError(t, err)
			require.False(t, first)
			require.Equal(t, []bool{false, true, false, false}, firsts)
			require.EqualValues(t, 1, effects(t, db), "of each task, and %q is another", id)
		}
	})
}

// TestEffectsOfAttemptsAtTheSameTime has attempts of one task at the same time, as when a worker that was cut off comes
// back; some die in the middle.
func TestEffectsOfAttemptsAtTheSameTime(t *testing.T) {
	eachDatabase(t, func(t *testing.T, db *gorm.DB) {
		const rounds, attempts = 5, 6
		clients := make([]*tasks.Client, attempts)
		for n := range attempts {
			clients[n] = payer(t, func(ctx context.Context) (bool, error) {
				return effect(ctx, db, func() error {
					if n%2 == 0 {
						return tasks.Permanent(errors.New("the worker dies"))
					}
					return nil
				})
			})
		}
		for round := range rounds {
			var all []*tasks.Result[bool]
			for _, client := range clients {
				res, err := pay.Enqueue(t.Context(), client, numberArgs{}, tasks.ID(fmt.Sprint("task-", round)), tasks.Backoff(0, 0))
				require.NoError(t, err)
				all = append(all, res)
			}
			firsts := 0
			for n, res := range all {
				first, err := res.Get(testenv.Soon(t))
				if n%2 == 1 {
					require.NoError(t, err)
				} else if err != nil {
					require.ErrorContains(t, err, "the worker dies")
				}
				if first {
					firsts++
				}
			}
			require.Equal(t, 1, firsts)
			require.EqualValues(t, round+1, effects(t, db))
		}
	})
}

func TestEffectsOfAFencedAttempt(t *testing.T) {
	eachDatabase(t, func(t *testing.T, db *gorm.DB) {
		b := taskstest.Embedded(t)
		mux, result := tasks.NewMux(tasks.MuxOptions{Logger: testenv.Quiet()}), make(chan error, 1)
		tasks.Handle(mux, pay, func(ctx context.Context, _ numberArgs) (bool, error) {
			key := "asynq:{default}:t:" + tasks.Current(ctx).ID
			if err := b.Redis().HSet(ctx, key, "owner", "another|1").Err(); err != nil {
				result <- err
				return false, err
			}
			first, err := effect(ctx, db, fine)
			result <- err
			return first, err
		})
		taskstest.Serve(t, b, mux, "default")
		_, err := pay.Enqueue(t.Context(), tasks.NewClient(b), numberArgs{})
		require.NoError(t, err)
		require.ErrorIs(t, <-result, tasks.ErrFenced)
		require.Zero(t, effects(t, db))
	})
}

// TestEffectsWhereRowsAreCountedDifferently: some programs have the driver count the rows that it found.
func TestEffectsWhereRowsAreCountedDifferently(t *testing.T) {
	t.Parallel()
	raw := testenv.MySQL(t)
	ours, err := models.Open(t.Context(), raw, models.Options{})
	require.NoError(t, err)
	require.NoError(t, shop.Migrate(t.Context(), ours))
	require.NoError(t, models.Close(ours))
	u, err := url.Parse(raw)
	require.NoError(t, err)
	dsn := fmt.Sprintf("%s@tcp(%s)%s?clientFoundRows=true&parseTime=true", u.User, u.Host, u.Path)
	db, err := gorm.Open(mysql.Open(dsn), &gorm.Config{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, models.Close(db)) })
	var firsts []bool
	client := payer(t, func(ctx context.Context) (bool, error) {
		first, err := effect(ctx, db, fine)
		firsts = append(firsts, first)
		if err == nil && len(firsts) < 3 {
			err = tasks.RetryIn(0, errors.New("again"))
		}
		return first, err
	})
	res, err := pay.Enqueue(t.Context(), client, numberArgs{})
	require.NoError(t, err)
	_, err = res.Get(testenv.Soon(t))
	require.NoError(t, err)
	require.Equal(t, []bool{true, false, false}, firsts)
}

func TestOnceWantsATransactionAndATask(t *testing.T) {
	eachDatabase(t, func(t *testing.T, db *gorm.DB) {
		_, err := effect(t.Context(), db, fine)
		require.ErrorIs(t, err, tasks.ErrNoTask)
		client := payer(t, func(ctx context.Context) (bool, error) {
			for _, tx := range []*gorm.DB{db, nil} {
				if _, err := outbox.Once(ctx, tx); err == nil || !strings.Contains(err.Error(), "wants a transaction") {
					return false, tasks.Permanent(fmt.Errorf("without a transaction: %w", err))
				}
			}
			return effect(ctx, db, fine)
		})
		res, err := pay.Enqueue(t.Context(), client, numberArgs{})
		require.NoError(t, err)
		first, err := res.Get(testenv.Soon(t))
		require.NoError(t, err)
		require.True(t, first)
	})
}

// TestATransactionOfDatabaseSQL: what a *sql.Tx enqueues commits or rolls back with it, and Once marks in it.
func TestATransactionOfDatabaseSQL(t *testing.T) {
	eachStore(t, func(t *testing.T, s site) {
		ob := s.outbox(t)
		pool, err := s.db.DB()
		require.NoError(t, err)
		begin := func() *sql.Tx {
			tx, err := pool.BeginTx(t.Context(), nil)
			require.NoError(t, err)
			return tx
		}
		tx := begin()
		lost, err := double.EnqueueTx(t.Context(), ob.Tx(tx), numberArgs{1})
		require.NoError(t, err)
		require.NoError(t, tx.Rollback())
		_, err = lost.State(t.Context())
		require.ErrorIs(t, err, tasks.ErrNotFound)
		require.Empty(t, s.rows(t))

		tx = begin()
		kept, err := double.EnqueueTx(t.Context(), ob.Tx(tx), numberArgs{2}, tasks.ID("kept"))
		require.NoError(t, err)
		_, err = double.EnqueueTx(t.Context(), ob.Tx(tx), numberArgs{2}, tasks.ID("kept"))
		require.ErrorIs(t, err, tasks.ErrDuplicate)
		require.NoError(t, tx.Commit())
		ob.Committed()
		state, err := kept.State(t.Context())
		require.NoError(t, err)
		require.Equal(t, tasks.StatePending, state)
		require.NoError(t, ob.SendAll(t.Context()))
		require.NotNil(t, s.rows(t)[0].SentAt)

		var firsts []bool
		client := payer(t, func(ctx context.Context) (bool, error) {
			tx, err := pool.BeginTx(ctx, nil)
			if err != nil {
				return false, err
			}
			defer tx.Rollback() // does nothing after the commit
			first, err := ob.Once(ctx, tx)
			if err != nil {
				return false, err
			}
			firsts = append(firsts, first)
			if err := tx.Commit(); err != nil {
				return false, err
			}
			if len(firsts) == 1 {
				return first, tasks.RetryIn(0, errors.New("died after the commit"))
			}
			return first, nil
		})
		res, err := pay.Enqueue(t.Context(), client, numberArgs{})
		require.NoError(t, err)
		_, err = res.Get(testenv.Soon(t))
		require.NoError(t, err)
		require.Equal(t, []bool{true, false}, firsts)
	})
}
