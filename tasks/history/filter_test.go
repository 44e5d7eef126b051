package history

import (
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/paidui/paidui/models"
	"github.com/paidui/paidui/tasks"
)

func TestAFilterKnowsItsOwnAndFewOthers(t *testing.T) {
	t.Parallel()
	for _, n := range []int{fewLeft, leastBundle, 1000} {
		stubs := make([]stub, n)
		for i := range stubs {
			stubs[i].uuid = uuid.Must(uuid.NewV7())
		}
		f := filterOf(stubs)
		require.Len(t, f, 2*n)
		for _, s := range stubs {
			require.True(t, mayContain(f, s.uuid))
		}
		const others = 20_000
		wrong := 0
		for range others {
			if mayContain(f, uuid.Must(uuid.NewV7())) {
				wrong++
			}
		}
		require.Less(t, wrong, others/200, "of %d tasks", n)
	}
	require.True(t, mayContain(nil, uuid.Must(uuid.NewV7())))
}

// Earlier builds write bundles without filters, and leave the filter as it is when they take tasks out of a bundle.
func TestTasksInBundlesOfEarlierBuildsAreFound(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, db *gorm.DB) {
		w := newWorld(t, db)
		all := waitingTasks(200, epoch)
		bundled(t, w.Store, epoch, all[:100]...)
		require.NoError(t, db.Model(&models.TaskBundle{}).Where("1 = 1").Update("filter", nil).Error)
		bundled(t, w.Store, epoch, all[100:]...)
		for _, r := range all {
			info, err := w.Find(t.Context(), r.ID)
			require.NoError(t, err)
			require.Equal(t, tasks.StatePending, info.State)
		}
		for range 100 {
			_, err := w.Find(t.Context(), newID("default", epoch))
			require.ErrorIs(t, err, tasks.ErrNotFound)
		}
	})
}

// What is left of a bundle has a filter of its own.
func TestTheFilterShrinksWithItsBundle(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, db *gorm.DB) {
		w := newWorld(t, db)
		all := waitingTasks(200, epoch)
		bundled(t, w.Store, epoch, all...)
		insert(t, w.Store, endedAll(all[:120])...)
		_, err := w.settler.Settle(t.Context())
		require.NoError(t, err)
		var b models.TaskBundle
		require.NoError(t, db.Take(&b).Error)
		require.Equal(t, 80, b.Tasks)
		require.Len(t, b.Filter, 160)
		for _, r := range all[120:] {
			info, err := w.Find(t.Context(), r.ID)
			require.NoError(t, err)
			require.Equal(t, tasks.StatePending, info.State)
		}
	})
}
