package history

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/paidui/paidui/deploy/testenv"
	"github.com/paidui/paidui/models"
	"github.com/paidui/paidui/tasks"
)

// TestSearchFindsTasksInBundles compares searches with going through all records, of which some are in bundles alone, some
// in the table alone, and some in both.
func TestSearchFindsTasksInBundles(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, db *gorm.DB) {
		w := newWorld(t, db)
		kinds, queues := []string{"a.one", "a.two", "b"}, []string{"default", "low"}
		n, searches := 300, 60
		if db.Name() == "sqlite" { // which is slow under the race detector
			n, searches = 100, 20
		}
		var all []tasks.Record
		for len(all) < n {
			var part []tasks.Record
			at := epoch.Add(time.Duration(rand.IntN(40)) * time.Second)
			for range 1 + rand.IntN(60) {
				r := waiting(queues[rand.IntN(2)], at.Add(time.Duration(rand.IntN(300))*10*time.Millisecond))
				r.Task = kinds[rand.IntN(3)]
				part = append(part, r)
			}
			if rand.IntN(4) > 0 {
				bundled(t, w.Store, epoch, part...)
				if rand.IntN(4) == 0 { // what was committed was not known, so it was written again
					bundled(t, w.Store, epoch, part[:len(part)/2+1]...)
				}
			} else {
				insert(t, w.Store, part...)
			}
			for i := range part {
				if rand.IntN(3) == 0 {
					part[i] = ended(part[i])
					insert(t, w.Store, part[i])
				}
			}
			all = append(all, part...)
		}
		slices.SortFunc(all, func(a, b tasks.Record) int { return place{a.EnqueuedAt, a.ID}.compare(place{b.EnqueuedAt, b.ID}) })
		pick := func(values ...string) string { return append(values, "")[rand.IntN(len(values)+1)] }
		for range testenv.Rounds(searches) {
			q := Query{
				State: tasks.State(pick("PENDING", "PENDING", "SUCCESS")), Task: pick("a.one", "b", "no.such"), Queue: pick("default"),
				Limit: []int{3, 20, MaxLimit}[rand.IntN(3)],
			}
			if rand.IntN(3) == 0 {
				q.Since = epoch.Add(time.Duration(rand.IntN(20_000)) * time.Millisecond)
			}
			if rand.IntN(3) == 0 {
				q.Until = epoch.Add(time.Duration(20_001+rand.IntN(30_000)) * time.Millisecond)
			}
			var want []string
			for _, r := range all {
				if q.allows(kind{r.Task, r.Queue, string(r.State)}) && !r.EnqueuedAt.Before(q.Since) &&
					(q.Until.IsZero() || r.EnqueuedAt.Before(q.Until)) {
					want = append(want, r.ID)
				}
			}
			require.Equal(t, want, pages(t, w.Store, q), "%+v", q)
		}
		for range 50 {
			r := all[rand.IntN(len(all))]
			info, err := w.Find(t.Context(), r.ID)
			require.NoError(t, err)
			require.Equal(t, r.State, info.State)
		}
	})
}

// TestOldTasksInBundlesAreSettledWhenShown is what TestARecordNeverHangs is for rows.
func TestOldTasksInBundlesAreSettledWhenShown(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, db *gorm.DB) {
		w := newWorld(t, db)
		all := waitingTasks(10, epoch)
		bundled(t, w.Store, epoch, all...)
		w.clock = epoch.Add(2 * settledAfter)
		w.away = true
		page, err := w.Search(t.Context(), Query{})
		require.NoError(t, err)
		require.Len(t, page.Tasks, 10, "with Redis away, they are shown as they are")
		w.away = false
		info, err := w.Find(t.Context(), all[0].ID)
		require.NoError(t, err)
		require.Equal(t, tasks.StateLost, info.State)
		for _, r := range all[2:] {
			at := r.EnqueuedAt
			w.redis[r.ID] = &tasks.Info{ID: r.ID, State: tasks.StatePending, EnqueuedAt: &at}
		}
		require.Len(t, pages(t, w.Store, Query{State: tasks.StatePending, Limit: 3}), 8)
		got := stored(t, db)
		require.Len(t, got, 10)
		require.Equal(t, []string{"LOST", "LOST", "PENDING"}, []string{got[all[0].ID].State, got[all[1].ID].State, got[all[2].ID].State})
	})
}

// TestBundlesAreFoundByTheirIndex holds the plan of what each search asks against a table of some thousand bundles.
func TestBundlesAreFoundByTheirIndex(t *testing.T) {
	t.Parallel()
	db := migrated(t, testenv.MySQL(t))
	require.NoError(t, db.Exec("INSERT INTO paidui_task_bundles (first_at, last_at, old, look_at, tasks, kinds, probe, records)"+
		" SELECT ? + INTERVAL seq SECOND, ? + INTERVAL seq SECOND, seq MOD 2, ? + INTERVAL seq SECOND, 1, '', '', REPEAT('x', 20000) FROM "+testenv.Numbers(1, 3000),
		epoch, epoch, epoch).Error)
	require.NoError(t, db.Exec("ANALYZE TABLE paidui_task_bundles").Error)
	params := []any{epoch.Add(1500 * time.Second), convertAtOnce}
	for _, step := range requirePlan(t, db, bundlesStatement+bundlesBefore, params, "paidui_task_bundles", "idx_task_bundles_last_at") {
		require.NotContains(t, step.Extra, "temporary")
	}
	require.EqualValues(t, 3000, count(t, db, &models.TaskBundle{}))
}
