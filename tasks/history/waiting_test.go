package history

import (
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
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
		n, searches := 600, 60
		if db.Name() == "sqlite" { // which is slow under the race detector
			n, searches = 150, 20
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
		for range searches {
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

// TestSearchGetsPastManyBundles has far more bundles of one time than a page unpacks, in none of which anything waits.
func TestSearchGetsPastManyBundles(t *testing.T) {
	t.Parallel()
	db := migrated(t, testenv.MySQL(t))
	w := newWorld(t, db)
	var want []string
	for _, at := range []time.Time{epoch, epoch.Add(time.Minute), epoch.Add(2 * time.Minute)} {
		for range 3 * waitingWork {
			part := waitingTasks(3, at)
			bundled(t, w.Store, epoch, part...)
			for i := range part {
				part[i] = ended(part[i])
			}
			insert(t, w.Store, part...)
		}
		last := waitingTasks(2, at.Add(-time.Second))
		bundled(t, w.Store, epoch, last...)
		want = append(want, last[0].ID, last[1].ID)
	}
	got := pages(t, w.Store, Query{State: tasks.StatePending, Limit: 5})
	require.ElementsMatch(t, want, got)
	page, err := w.Search(t.Context(), Query{State: tasks.StatePending, Limit: 5})
	require.NoError(t, err)
	require.NotEmpty(t, page.Next)
	require.Len(t, pages(t, w.Store, Query{Limit: MaxLimit}), 3*(3*3*waitingWork+2))
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
		require.Len(t, got, 2)
		require.Equal(t, []string{"LOST", "LOST"}, []string{got[all[0].ID].State, got[all[1].ID].State})
	})
}

// TestBundlesAreFoundByTheirIndexes holds the plans of what is asked all the time against a table of some thousand bundles.
func TestBundlesAreFoundByTheirIndexes(t *testing.T) {
	t.Parallel()
	db := migrated(t, testenv.MySQL(t))
	require.NoError(t, db.Exec("INSERT INTO task_bundles (first_at, last_at, old, look_at, tasks, kinds, probe, records)"+
		" SELECT ? + INTERVAL seq SECOND, ? + INTERVAL seq SECOND, seq MOD 2, ? + INTERVAL seq SECOND, 1, '', '', REPEAT('x', 20000) FROM "+testenv.Numbers(1, 3000),
		epoch, epoch, epoch).Error)
	require.NoError(t, db.Exec("INSERT INTO task_records (task_id, task, queue, state, version, run, attempt, retries, max_retries,"+
		" args, result, error, worker, tags, request_id, room, created_at) SELECT CONCAT('default_', seq), 't', 'default', 'SUCCESS', 1, 1, 1, 0, 3,"+
		" '1', '', '', '', '', '', '', ? FROM "+testenv.Numbers(1, 5000), epoch).Error)
	require.NoError(t, db.Exec("ANALYZE TABLE task_bundles, task_records").Error)
	at := epoch.Add(1500 * time.Second)
	for _, c := range []struct {
		statement, table, key string
		params                []any
	}{
		{dueStatement, "task_bundles", "idx_task_bundles_look", []any{false, epoch.Add(10 * time.Second), skimmed}},
		{headsStatement + headsOrder, "task_bundles", "idx_task_bundles_last_at", []any{at, at, 7, waitingHeads}},
		{filtersStatement, "task_bundles", "idx_task_bundles_last_at", []any{at, at.Add(bundleSpan), at}},
		{bundlesWithStatement + "?,?)", "task_bundles", "PRIMARY", []any{[]byte("0123456789abcdef"), 1500, 1501}},
		{partsStatement + partsRange, "task_records", "PRIMARY", []any{"default_1000", "default_1100", 201}},
	} {
		for _, step := range requirePlan(t, db, c.statement, c.params, c.table, c.key) {
			require.NotContains(t, step.Extra, "temporary", c.statement)
		}
	}
	require.EqualValues(t, 3000, count(t, db, &models.TaskBundle{}))
}

// BenchmarkUnknownID asks for ids that nobody made, of a time at which 20 bundles of 1,000 tasks each, with arguments of 200
// bytes, were made: what it costs in processor time, the server (db-µs/op, MySQL's alone) and this process (own-µs/op), which has SQLite in it.
func BenchmarkUnknownID(b *testing.B) {
	for name, databaseURL := range map[string]func() string{
		"mysql":  func() string { return testenv.MySQL(b) },
		"sqlite": func() string { return "sqlite://:memory:" },
	} {
		b.Run(name, func(b *testing.B) {
			db := migrated(b, databaseURL())
			w := newWorld(b, db)
			at := time.Now().Add(-time.Minute)
			for range 20 {
				all := waitingTasks(1000, at)
				for i := range all {
					all[i].Args = []byte(`"` + strings.Repeat("a", 198) + `"`)
				}
				bundled(b, w.Store, at, all...)
			}
			var db0 time.Duration
			if name == "mysql" {
				db0 = serverTime(b, db)
			}
			own0 := ownTime(b)
			for b.Loop() {
				if _, err := w.Find(b.Context(), newID("default", at.Add(500*time.Millisecond))); !errors.Is(err, tasks.ErrNotFound) {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64((ownTime(b)-own0).Microseconds())/float64(b.N), "own-µs/op")
			if name == "mysql" {
				b.ReportMetric(float64((serverTime(b, db)-db0).Microseconds())/float64(b.N), "db-µs/op")
			}
		})
	}
}
