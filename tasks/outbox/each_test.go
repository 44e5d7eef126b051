package outbox_test

import (
	"encoding/json"
	"errors"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/paidui/paidui/models"
	"github.com/paidui/paidui/tasks"
	"github.com/paidui/paidui/tasks/outbox"
)

func TestEachReadsTheTasksOfANameInATransaction(t *testing.T) {
	eachStore(t, func(t *testing.T, s site) {
		s.outbox(t)
		numbers := func(tx *gorm.DB) []int {
			var found []int
			more, err := outbox.Each(tx, double.Name(), 4, func(p *tasks.OutboxMessage) error {
				var a numberArgs
				require.NoError(t, json.Unmarshal(p.Args(), &a))
				require.Equal(t, double.Name(), p.Task())
				found = append(found, a.N)
				return nil
			})
			require.NoError(t, err)
			require.False(t, more)
			slices.Sort(found)
			return found
		}
		require.Empty(t, numbers(s.db))
		for n := range 3 {
			s.enqueue(t, n)
		}
		other := tasks.Define[numberArgs, int]("outbox.other")
		_, err := other.EnqueueTx(t.Context(), outbox.Tx(s.db), numberArgs{7})
		require.NoError(t, err)
		require.Equal(t, []int{0, 1, 2}, numbers(s.db))

		require.NoError(t, s.db.Transaction(func(tx *gorm.DB) error {
			_, err := double.EnqueueTx(t.Context(), outbox.Tx(tx), numberArgs{3})
			require.NoError(t, err)
			require.Equal(t, []int{0, 1, 2, 3}, numbers(tx), "its own, too")
			return nil
		}))

		enough, calls := errors.New("enough"), 0
		_, err = outbox.Each(s.db, double.Name(), 4, func(*tasks.OutboxMessage) error {
			calls++
			return enough
		})
		require.ErrorIs(t, err, enough)
		require.Equal(t, 1, calls)

		calls = 0
		count := func(*tasks.OutboxMessage) error { calls++; return nil }
		more, err := outbox.Each(s.db, double.Name(), 3, count)
		require.NoError(t, err)
		require.True(t, more)
		require.Equal(t, 3, calls)

		calls = 0
		require.NoError(t, s.db.Create(&models.OutboxRow{TaskID: "torn", Task: double.Name(), Body: "{"}).Error)
		more, err = outbox.Each(s.db, double.Name(), 5, count)
		require.NoError(t, err)
		require.False(t, more)
		require.Equal(t, 4, calls, "it is read, and left out")
	})
}
