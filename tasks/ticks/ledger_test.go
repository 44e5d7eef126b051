package ticks_test

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/paidui/paidui/deploy/testenv"
	"github.com/paidui/paidui/models"
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
			require.NoError(t, models.Migrate(t.Context(), db))
			l := ticks.NewLedger(db)
			puts := 0
			note := func(entry, rule string, tick, now time.Time, fails error) (bool, error) {
				return l.Note(t.Context(), entry, rule, tick, now, func(*gorm.DB) error { puts++; return fails })
			}
			at := func(n int) time.Time { return start.Add(time.Duration(n) * time.Minute) }
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
				first, err := note(c.entry, "r", at(c.tick), at(c.now), nil)
				require.NoError(t, err)
				require.Equal(t, c.first, first, c)
				require.Equal(t, c.first, puts > before, c)
			}
			wrong := errors.New("refused")
			_, err = note("a", "r", at(5), at(5), wrong)
			require.ErrorIs(t, err, wrong)
			first, err := note("a", "new", at(5), at(5), tasks.ErrDuplicate) // the outbox has it
			require.NoError(t, err)
			require.True(t, first, "the one that failed is not noted")

			noted, err := l.Noted(t.Context())
			require.NoError(t, err)
			require.Equal(t, map[ticks.Noted]time.Time{
				{Entry: "a", Rule: ticks.Digest("new")}: at(5), {Entry: "A", Rule: ticks.Digest("r")}: at(2),
			}, noted)
			require.NoError(t, l.Forget(t.Context(), []string{"A", "b"}))
			noted, err = l.Noted(t.Context())
			require.NoError(t, err)
			require.Len(t, noted, 1)
			require.NoError(t, l.Forget(t.Context(), nil))
			noted, err = l.Noted(t.Context())
			require.NoError(t, err)
			require.Empty(t, noted)

			var firsts atomic.Int64
			for n := range 10 {
				var together sync.WaitGroup
				for range 4 {
					together.Go(func() {
						for {
							first, err := l.Note(t.Context(), "c", "r", at(n), at(n), func(*gorm.DB) error { return nil })
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
