package ticks_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/paidui/paidui/deploy/testenv"
	"github.com/paidui/paidui/models"
	"github.com/paidui/paidui/models/shop"
	"github.com/paidui/paidui/tasks"
	"github.com/paidui/paidui/tasks/ticks"
)

func TestATickIsNotedOnce(t *testing.T) {
	t.Parallel()
	for place, url := range map[string]string{"mariadb": testenv.MySQL(t), "sqlite": "sqlite://" + t.TempDir() + "/paidui.db"} {
		t.Run(place, func(t *testing.T) {
			t.Parallel()
			db, err := models.Open(t.Context(), url, models.Options{})
			require.NoError(t, err)
			t.Cleanup(func() { require.NoError(t, models.Close(db)) })
			require.NoError(t, shop.Migrate(t.Context(), db))
			l := ticks.NewLedger(db)
			puts := 0
			at := func(n int) time.Time { return start.Add(time.Duration(n) * time.Minute) }
			clock := func(minutes int) ticks.Clock {
				return func(context.Context) (time.Time, error) { return at(minutes), nil }
			}
			note := func(entry, rule string, tick, now int, fails error) (bool, error) {
				return l.Note(t.Context(), entry, rule, at(tick), clock(now), func(*gorm.DB) error { puts++; return fails })
			}
			for _, c := range []struct {
				entry     string
				tick, now int // minutes
				first     bool
			}{
				{"a", 1, 1, true}, {"a", 1, 1, false}, {"a", 3, 3, true}, {"a", 2, 3, false}, {"A", 2, 3, true},
				{"a", 60, 60, true}, // by a clock that is wrong
				{"a", 4, 4, true}, {"a", 4, 4, false},
			} {
				before := puts
				first, err := note(c.entry, "r", c.tick, c.now, nil)
				require.NoError(t, err)
				require.Equal(t, c.first, first, c)
				require.Equal(t, c.first, puts > before, c)
			}
			wrong := errors.New("refused")
			_, err = note("a", "r", 5, 5, wrong)
			require.ErrorIs(t, err, wrong)
			first, err := note("a", "new", 5, 5, tasks.ErrDuplicate) // the outbox has it
			require.NoError(t, err)
			require.True(t, first, "the one that failed is not noted")

			noted, err := l.Noted(t.Context())
			require.NoError(t, err)
			require.Equal(t, map[ticks.Noted]time.Time{
				{Entry: "a", Rule: ticks.Digest("new")}: at(5), {Entry: "A", Rule: ticks.Digest("r")}: at(2),
			}, noted)

			inForce := func() error { return nil }
			superseded := errors.New("superseded")
			require.ErrorIs(t, l.Forget(t.Context(), []string{"b"}, nil, func() error { return superseded }), superseded)
			noted, err = l.Noted(t.Context())
			require.NoError(t, err)
			require.Len(t, noted, 2, "nothing was dropped")
			require.NoError(t, l.Forget(t.Context(), []string{"A", "b"}, nil, inForce))
			noted, err = l.Noted(t.Context())
			require.NoError(t, err)
			require.Len(t, noted, 1)
			require.NoError(t, l.Forget(t.Context(), nil, nil, inForce))
			noted, err = l.Noted(t.Context())
			require.NoError(t, err)
			require.Empty(t, noted)

			var firsts atomic.Int64
			for n := range 10 {
				var together sync.WaitGroup
				for range 4 {
					together.Go(func() {
						for {
							first, err := l.Note(t.Context(), "c", "r", at(n), clock(n), func(*gorm.DB) error { return nil })
							if first {
								firsts.Add(1)
							}
							if err == nil || t.Context().Err() != nil {
								return
							}
						}
					})
				}
				together.Wait()
			}
			require.EqualValues(t, 10, firsts.Load())
			noted, err = l.Noted(t.Context())
			require.NoError(t, err)
			require.Equal(t, at(9), noted[ticks.Noted{Entry: "c", Rule: ticks.Digest("r")}])
		})
	}
}

// TestNoteAsksTheClockLate has a process stand still in a note while others note later ticks. The later one counts, by the
// time that it is then.
func TestNoteAsksTheClockLate(t *testing.T) {
	t.Parallel()
	db, err := models.Open(t.Context(), testenv.MySQL(t), models.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, models.Close(db)) })
	require.NoError(t, shop.Migrate(t.Context(), db))
	l := ticks.NewLedger(db)
	put := func(*gorm.DB) error { return nil }
	var now atomic.Int64
	now.Store(start.Unix())
	clock := func(context.Context) (time.Time, error) { return time.Unix(now.Load(), 0), nil }
	_, err = l.Note(t.Context(), "a", "r", start, clock, put)
	require.NoError(t, err)

	tx := db.Begin()
	later := start.Add(time.Minute).Unix()
	require.NoError(t, tx.Model(&models.ScheduleTick{}).Where("entry = ?", "a").Update("tick", later).Error)
	noted := make(chan bool, 1)
	go func() {
		first, err := l.Note(t.Context(), "a", "r", start.Add(time.Second), clock, put)
		noted <- first || err != nil
	}()
	require.Eventually(t, func() bool {
		var waits int64
		return db.Raw(`SELECT COUNT(*) FROM information_schema.innodb_trx t JOIN information_schema.processlist p
			ON p.id = t.trx_mysql_thread_id WHERE t.trx_state = 'LOCK WAIT' AND p.db = DATABASE()`).Scan(&waits).Error == nil && waits > 0
	}, time.Minute, 200*time.Millisecond) // what innodb_trx shows is renewed after 100 ms without a question
	now.Store(later)
	require.NoError(t, tx.Commit().Error)
	require.False(t, <-noted)
}
