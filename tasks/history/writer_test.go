package history

import (
	"context"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/paidui/paidui/models"
	"github.com/paidui/paidui/tasks"
)

func TestWriterWritesWithinMoments(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, db *gorm.DB) {
		reg := prometheus.NewRegistry()
		w := writer(t, db, Options{Registry: reg})
		w.Record(enqueued("open", 0))
		w.Record(enqueued("quick", 0))
		w.Record(succeeded("quick", 0))
		w.Record(tasks.Record{ID: "no id of a task", State: tasks.StatePending})
		awaitRecords(t, db, 2)
		got := stored(t, db)
		require.Equal(t, "PENDING", got["open"].State)
		quick, _ := newRow(succeeded("quick", 0), epoch)
		require.Equal(t, quick, rowFrom(got["quick"]))
		require.Eventually(t, func() bool { return testutil.ToFloat64(w.metrics.written) == 2 }, patience, 10*time.Millisecond)
		require.EqualValues(t, 1, testutil.ToFloat64(w.metrics.dropped.WithLabelValues(dropInvalid)))
		require.Zero(t, w.waiting())
		n, err := testutil.GatherAndCount(reg)
		require.NoError(t, err)
		require.Equal(t, 8, n, "four reasons to drop, and four others")
	})
}

// TestWhatIsSaidToBeWrittenIs asks after each end of a task, while others end, until it is said to be written.
func TestWhatIsSaidToBeWrittenIs(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, db *gorm.DB) {
		w := writer(t, db, Options{})
		require.WithinDuration(t, time.Now(), w.Written(), time.Minute, "nothing waits")
		var all sync.WaitGroup
		for of := range 4 {
			all.Go(func() {
				for i := range 10 {
					id := idOf(100*of + i)
					if i%2 == 0 {
						w.Record(enqueued(id, i))
					}
					w.Record(succeeded(id, i))
					recorded := time.Now()
					for deadline := recorded.Add(patience); !recorded.Before(w.Written()); time.Sleep(time.Millisecond) {
						if time.Now().After(deadline) {
							t.Errorf("%s is never written", id)
							return
						}
					}
					var states []string
					err := db.Model(&models.TaskRecord{}).Where("task_id = ?", id).Pluck("state", &states).Error
					if err != nil || len(states) != 1 || states[0] != "SUCCESS" {
						t.Errorf("%s was said to be written: %v %v", id, states, err)
					}
				}
			})
		}
		all.Wait()
	})
}

// TestTheEndComesBeforeTheBeginning is the usual case of two processes: the worker's record is written when the
// enqueuer's comes, which then has nothing to add.
func TestTheEndComesBeforeTheBeginning(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, db *gorm.DB) {
		table, err := newTable(db)
		require.NoError(t, err)
		t.Cleanup(table.close)
		begin, end := make([]*row, 400), make([]*row, 400)
		for i := range begin {
			one, _ := newRow(enqueued(idOf(i), i), epoch)
			other, _ := newRow(succeeded(idOf(i), i), epoch)
			begin[i], end[i] = &one, &other
		}
		sent, err := table.write(t.Context(), end[:300])
		require.NoError(t, err)
		require.Equal(t, 300, sent)
		sent, err = table.write(t.Context(), begin)
		require.NoError(t, err)
		require.Equal(t, 100, sent)
		sent, err = table.write(t.Context(), end)
		require.NoError(t, err)
		require.Equal(t, 400, sent)
		for id, r := range stored(t, db) {
			require.Equal(t, "SUCCESS", r.State, id)
		}
	})
}

// TestWritersOfOneTaskDoNotHurtEachOther has three processes tell of the same tasks at the same time.
func TestWritersOfOneTaskDoNotHurtEachOther(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, db *gorm.DB) {
		n := 3000
		if db.Name() == "sqlite" { // which writes one after the other, and slowly under the race detector
			n = 300
		}
		var group sync.WaitGroup
		for i := range 3 {
			w := writer(t, db, Options{})
			group.Go(func() {
				for _, id := range rand.Perm(n) {
					r := enqueued(idOf(id), id)
					r.Tags = []string{"all", idOf(id % 7)}
					if i > 0 {
						r = succeeded(idOf(id), id)
					}
					w.Record(r)
				}
				ctx, cancel := context.WithTimeout(context.Background(), patience)
				defer cancel()
				require.NoError(t, w.Close(ctx))
				require.Zero(t, testutil.ToFloat64(w.metrics.dropped.WithLabelValues(dropRefused)))
			})
		}
		group.Wait()
		got := stored(t, db)
		require.Len(t, got, n)
		for id, r := range got {
			require.Equal(t, []string{"SUCCESS", "3"}, []string{r.State, r.Result}, id)
			require.Len(t, tagsOf(&r), 2, id)
		}
		require.EqualValues(t, 2*n, count(t, db, &models.TaskTag{}))
	})
}

func TestCloseWritesWhatWaits(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, db *gorm.DB) {
		w := writer(t, db, Options{})
		for i := range 1500 {
			w.Record(enqueued(idOf(i), i))
		}
		require.NoError(t, w.Close(t.Context()))
		require.EqualValues(t, 1500, count(t, db, &models.TaskRecord{}))
		w.Record(enqueued("late", 0))
		require.EqualValues(t, 1, testutil.ToFloat64(w.metrics.dropped.WithLabelValues(dropClosed)))
		require.NoError(t, w.Close(t.Context()), "twice is once")
	})
}

func TestCloseEndsWhenItMustAndSaysWhatIsLost(t *testing.T) {
	t.Parallel()
	db, through, proxy := proxied(t)
	w := writer(t, through, Options{})
	w.Record(succeeded("first", 0))
	awaitRecords(t, db, 1)
	require.Eventually(t, func() bool { return testutil.ToFloat64(w.metrics.written) == 1 }, patience, time.Millisecond, "the writer knows it, too")
	proxy.Stall(true)
	for i := range 1500 {
		w.Record(succeeded(idOf(i), i))
	}
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	require.ErrorContains(t, w.Close(ctx), "1500 records could not be written")
	require.EqualValues(t, 1500, testutil.ToFloat64(w.metrics.dropped.WithLabelValues(dropClosed)))
	proxy.Stall(false)
}

// TestCloseTriesAtOnce: a program that stops soon after the database is back does not sit out the pause between two tries.
func TestCloseTriesAtOnce(t *testing.T) {
	t.Parallel()
	db := migrated(t, "sqlite://:memory:")
	require.NoError(t, db.Exec("ALTER TABLE paidui_task_records RENAME TO away").Error)
	w := writer(t, db, Options{})
	flushes := prometheus.NewPedanticRegistry()
	flushes.MustRegister(w.metrics.flush)
	tries := func() uint64 {
		families, err := flushes.Gather()
		require.NoError(t, err)
		return families[0].GetMetric()[0].GetHistogram().GetSampleCount()
	}
	w.Record(succeeded("one", 0))
	require.Eventually(t, func() bool { return tries() >= 7 }, patience, time.Millisecond, "the next pause is 2.5 s at least")
	require.NoError(t, db.Exec("ALTER TABLE away RENAME TO paidui_task_records").Error)
	begun := time.Now()
	require.NoError(t, w.Close(t.Context()))
	require.Less(t, time.Since(begun), 2*time.Second)
	require.Contains(t, stored(t, db), "one")
}

// TestTheDatabaseGoesAndComesBack cuts all connections again and again while records come.
func TestTheDatabaseGoesAndComesBack(t *testing.T) {
	t.Parallel()
	db, through, proxy := proxied(t)
	w := writer(t, through, Options{})
	const n = 20_000
	for i := range n {
		if i%4000 == 0 {
			proxy.CutAfter(rand.IntN(200)) // in the middle of an answer: what was committed is not known
		}
		if i%100 == 0 {
			time.Sleep(time.Millisecond)
		}
		w.Record(succeeded(idOf(i), i))
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	require.NoError(t, w.Close(ctx))
	require.EqualValues(t, n, count(t, db, &models.TaskRecord{}))
}

// TestAFailingDatabaseCostsTheOldestRecords lets the buffer run over while the table is away.
func TestAFailingDatabaseCostsTheOldestRecords(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, db *gorm.DB) {
		require.NoError(t, db.Exec("ALTER TABLE paidui_task_records RENAME TO away").Error)
		logger, logged := logTo()
		w := writer(t, db, Options{Logger: logger, Buffer: 200_000})
		secret := enqueued("secret", 0)
		secret.Args = []byte(`"hunter2"`)
		w.Record(secret)
		require.Eventually(t, func() bool { w.mu.Lock(); defer w.mu.Unlock(); return w.failing }, patience, 10*time.Millisecond)
		begun := time.Now()
		const n = 1000
		for i := range n {
			w.Record(succeeded(idOf(i), i))
		}
		require.Less(t, time.Since(begun), patience/2, "nobody waits for a database that fails")
		w.mu.Lock()
		held := w.buffer.bytes
		w.mu.Unlock()
		require.LessOrEqual(t, held, 200_000)
		dropped := int(testutil.ToFloat64(w.metrics.dropped.WithLabelValues(dropFull)))
		require.Greater(t, dropped, n/2)

		require.NoError(t, db.Exec("ALTER TABLE away RENAME TO paidui_task_records").Error)
		awaitRecords(t, db, n+1-dropped)
		require.Contains(t, stored(t, db), idOf(n-1), "the newest are kept")
		require.Zero(t, testutil.ToFloat64(w.metrics.reduced), "no row is at fault when the table is away")
		w.Record(succeeded("after", 0))
		awaitRecords(t, db, n+2-dropped)
		require.Contains(t, logged(), "the history cannot be written")
		require.NotContains(t, logged(), "hunter2")
	})
}

// TestASlowDatabaseMakesRecordWait stalls the database: who records waits for room, but not for long.
func TestASlowDatabaseMakesRecordWait(t *testing.T) {
	t.Parallel()
	db, through, proxy := proxied(t)
	w := writer(t, through, Options{Buffer: 100_000})
	w.Record(succeeded("first", 0))
	awaitRecords(t, db, 1)
	require.Eventually(t, func() bool { return testutil.ToFloat64(w.metrics.written) == 1 }, patience, time.Millisecond, "the writer knows it, too")
	proxy.Stall(true)
	done := make(chan int)
	go func() {
		n := 0
		for begun := time.Now(); time.Since(begun) < roomLimit/3; n++ {
			w.Record(succeeded(idOf(n), n))
		}
		done <- n
	}()
	require.Eventually(t, func() bool { w.mu.Lock(); defer w.mu.Unlock(); return w.room != nil }, patience, time.Millisecond)
	require.Zero(t, testutil.ToFloat64(w.metrics.dropped.WithLabelValues(dropFull)), "it waits first")
	n := <-done // the wait has ended
	require.Less(t, n, 1000)
	proxy.Stall(false)
	dropped := int(testutil.ToFloat64(w.metrics.dropped.WithLabelValues(dropFull)))
	awaitRecords(t, db, n+1-dropped)
}

func TestARefusedRecordDoesNotKeepBackTheOthers(t *testing.T) {
	t.Parallel()
	db := migrated(t, "sqlite://:memory:")
	require.NoError(t, db.Exec("CREATE TRIGGER bad BEFORE INSERT ON paidui_task_records WHEN NEW.task_id = 'bad' BEGIN SELECT RAISE(ABORT, 'no'); END").Error)
	logger, logged := logTo()
	w := writer(t, db, Options{Logger: logger})
	for _, id := range []string{"one", "bad", "two"} {
		r := succeeded(id, 0)
		r.Args = []byte(`"hunter2"`)
		w.Record(r)
	}
	awaitRecords(t, db, 2)
	require.NoError(t, w.Close(t.Context()))
	require.EqualValues(t, 1, testutil.ToFloat64(w.metrics.dropped.WithLabelValues(dropRefused)))
	require.Contains(t, logged(), "task_id=bad")
	require.NotContains(t, logged(), "hunter2")
}
