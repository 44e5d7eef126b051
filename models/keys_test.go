package models_test

import (
	"context"
	"database/sql"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/paidui/paidui/models"
)

// TestKeys also has rows of another transaction, not committed, which are in nobody's way.
func TestKeys(t *testing.T) {
	t.Parallel()
	byTask := models.UniqueKey{Table: "paidui_outbox", Index: "idx_outbox_task_id", Column: "task_id"}
	byID := models.UniqueKey{Table: "paidui_outbox", Index: "PRIMARY", Column: "id"}
	eachMigrated(t, func(t *testing.T, db *gorm.DB) {
		row := func(n int) models.OutboxRow {
			return models.OutboxRow{ID: int64(n), TaskID: "Task-" + strconv.Itoa(n), Task: "demo.add", Body: "{}", CreatedAt: opening}
		}
		var rows []models.OutboxRow
		for n := 10; n < 22; n++ {
			rows = append(rows, row(n))
		}
		require.NoError(t, db.Create(&rows).Error)
		if db.Name() == "mysql" {
			require.NoError(t, db.Exec("ANALYZE TABLE outbox").Error, "so that it knows how few rows there are")
			other := db.Begin()
			defer other.Rollback()
			require.NoError(t, other.Create(&[]models.OutboxRow{row(1), row(30)}).Error)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		changed := func(n int, done *gorm.DB) {
			t.Helper()
			require.NoError(t, done.Error)
			require.EqualValues(t, n, done.RowsAffected)
		}
		var options []*sql.TxOptions
		if db.Name() == "mysql" {
			options = append(options, &sql.TxOptions{Isolation: sql.LevelReadCommitted})
		}
		err := db.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
			var all []int64
			for n := 10; n < 22; n++ {
				all = append(all, int64(n))
			}
			changed(12, models.SetKeys(tx, byID, all, "sent_at", opening))
			changed(2, models.SetKeys(tx, byTask, []string{"Task-15", "task-16", "Task-20"}, "error", "said 'no'"))
			changed(4, models.DeleteKeys(tx, byTask, []string{"Task-21", "Task-10", "zzz", "task-11", "Task-14", "Task-12", "Task-12"}))
			changed(3, models.DeleteKeys(tx, byID, []int64{10, 11, 19, 20, 99}))
			changed(0, models.DeleteKeys(tx, byTask, []string{}))
			changed(0, models.DeleteKeys(tx, byID, []int64(nil)))
			changed(0, models.DeleteKeys(tx, byTask, []string{"", `"`, `'); --`, "茶"}))
			return nil
		}, options...)
		require.NoError(t, err)
		var left []models.OutboxRow
		require.NoError(t, db.Order("id").Find(&left).Error)
		require.Len(t, left, 5)
		for i, n := range []int{13, 15, 16, 17, 18} {
			want := row(n)
			want.SentAt = &opening
			if n == 15 {
				want.Error = "said 'no'"
			}
			require.Equal(t, want, left[i])
		}
	})
}
