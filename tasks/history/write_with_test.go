package history

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/paidui/paidui/models"
	"github.com/paidui/paidui/tasks"
)

func TestRecordsGoWithWhatElseIsDone(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, db *gorm.DB) {
		s := store(t, db)
		records := []tasks.Record{succeeded("a", 1), succeeded("b", 2), {}}
		undo := errors.New("undo")
		require.Equal(t, undo, s.WriteWith(t.Context(), records, func(Exec) error { return undo }))
		require.Zero(t, count(t, db, &models.TaskRecord{}))
		require.NoError(t, s.WriteWith(t.Context(), records, func(exec Exec) error {
			n, err := exec("UPDATE paidui_task_records SET worker = ? WHERE task_id IN (?, ?)", "another", "a", "b")
			require.EqualValues(t, 2, n)
			return err
		}))
		require.Equal(t, "another", stored(t, db)["a"].Worker)
		require.NoError(t, s.WriteWith(t.Context(), nil, func(Exec) error { return nil }))
		require.Error(t, s.WriteWith(t.Context(), records, func(exec Exec) error {
			_, err := exec("nonsense")
			return err
		}))
	})
}
