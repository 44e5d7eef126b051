package history

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/paidui/paidui/deploy/testenv"
	"github.com/paidui/paidui/models"
	"github.com/paidui/paidui/tasks"
	"github.com/paidui/paidui/tasks/taskstest"
)

func TestPruneDeletesWhatIsOldAndHasEnded(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, db *gorm.DB) {
		client := tasks.NewClient(taskstest.Embedded(t))
		s, err := NewStore(db, client)
		require.NoError(t, err)
		now := time.Now().UTC()
		const old = 40 * 24 * time.Hour
		record := func(id string, age time.Duration, change func(*tasks.Record)) tasks.Record {
			r := succeeded(id, 0)
			r.EnqueuedAt, r.Tags = now.Add(-age), []string{"all", id}
			r.StartedAt, r.EndedAt = r.EnqueuedAt, r.EnqueuedAt.Add(time.Second)
			if change != nil {
				change(&r)
			}
			return r
		}
		is := func(state tasks.State) func(*tasks.Record) {
			return func(r *tasks.Record) { r.State = state }
		}
		insert(t, s,
			record("old", old, nil), record("failed", old, is(tasks.StateFailure)), record("young", time.Hour, nil),
			record("lost-old", old, is(tasks.StateStarted)), record("lost-young", 2*time.Hour, is(tasks.StateRetry)),
			record("waiting", time.Minute, is(tasks.StatePending)),
			record("long", old, func(r *tasks.Record) { r.EndedAt = now.Add(-time.Hour) }),
		)
		_, err = add.Enqueue(t.Context(), client, addArgs{}, tasks.ID("scheduled"), tasks.Countdown(time.Hour))
		require.NoError(t, err)
		scheduled := pending(t, client, "scheduled")
		insert(t, s, scheduled)
		s.now = func() time.Time { return now.Add(time.Second) }
		for id, age := range map[string]time.Duration{"old": old, "young": time.Hour, "middle": 20 * 24 * time.Hour} {
			require.NoError(t, db.Create(&models.TaskEffect{TaskID: id, CreatedAt: now.Add(-age)}).Error)
		}
		told := 0
		done, err := s.Prune(t.Context(), 10*24*time.Hour, func(Pruned) { told++ })
		require.NoError(t, err)
		require.Equal(t, Pruned{Records: 3, Effects: 1, Lost: 2}, done)
		require.Positive(t, told)

		got := stored(t, db)
		for _, id := range []string{"young", "lost-young", "waiting", "long", "scheduled"} {
			require.Contains(t, got, id)
		}
		require.Len(t, got, 5)
		require.Equal(t, "LOST", got["lost-young"].State)
		require.EqualValues(t, 4*2, count(t, db, &models.TaskTag{}), "tags go with their records")
		require.EqualValues(t, 2, count(t, db, &models.TaskEffect{}), "effects stay for thirty days")
		done, err = s.Prune(t.Context(), 10*24*time.Hour, nil)
		require.NoError(t, err)
		require.Zero(t, done, "again is nothing")

		_, err = s.Prune(t.Context(), time.Minute, nil)
		require.Error(t, err)
	})
}

// TestPruneWhileOthersWrite deletes in many batches, is interrupted, goes on, and hurts nobody.
func TestPruneWhileOthersWrite(t *testing.T) {
	t.Parallel()
	db := migrated(t, testenv.MySQL(t))
	s := store(t, db)
	require.NoError(t, db.Exec(`INSERT INTO paidui_task_records (task_id, task, queue, state, version, run, attempt, retries, max_retries,
		args, result, error, worker, tags, request_id, room, created_at, finished_at)
		SELECT CONCAT('old-', seq), CONCAT('t', seq MOD 5), 'default', 'SUCCESS', 1, 1, 1, 0, 3, '', '', '', '', '', '', '',
		NOW(6) - INTERVAL 50 DAY - INTERVAL seq MICROSECOND, NULL FROM `+testenv.Numbers(1, 30000)).Error)
	w := writer(t, db, Options{})
	writing, stop := context.WithCancel(t.Context())
	defer stop()
	wrote := make(chan int)
	go func() {
		n := 0
		for ; writing.Err() == nil; n++ {
			r := succeeded(fmt.Sprintf("new-%d", n), 0)
			r.Task, r.EnqueuedAt = fmt.Sprintf("t%d", rand.IntN(5)), time.Now()
			w.Record(r)
			time.Sleep(50 * time.Microsecond)
		}
		wrote <- n
	}()
	short, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	first, err := s.Prune(short, defaultAge, nil)
	require.Error(t, err)
	second, err := s.Prune(t.Context(), defaultAge, nil)
	require.NoError(t, err)
	require.LessOrEqual(t, first.Records+second.Records, 30_000)
	stop()
	n := <-wrote
	require.NoError(t, w.Close(t.Context()))
	require.EqualValues(t, n, count(t, db, &models.TaskRecord{}))
}

func TestPruneDeletesActsByTheirAge(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, db *gorm.DB) {
		s := store(t, db)
		now := time.Now().UTC()
		var acts []*models.AuditRecord
		for i := range pruneBatch + 500 {
			acts = append(acts, &models.AuditRecord{At: now.Add(-100*24*time.Hour - time.Duration(i)*time.Second), What: "POST /old"})
		}
		acts = append(acts, &models.AuditRecord{At: now.Add(-80 * 24 * time.Hour), What: "POST /young"}, &models.AuditRecord{At: now, What: "POST /new"})
		require.NoError(t, db.CreateInBatches(acts, 500).Error)
		var done Pruned
		told := 0
		require.Error(t, s.PruneActs(t.Context(), time.Hour, &done, nil))
		require.NoError(t, s.PruneActs(t.Context(), defaultActAge, &done, func(Pruned) { told++ }))
		require.Equal(t, Pruned{Acts: pruneBatch + 500}, done)
		require.Equal(t, 2, told, "in batches")
		var left []string
		require.NoError(t, db.Model(&models.AuditRecord{}).Order("at").Pluck("what", &left).Error)
		require.Equal(t, []string{"POST /young", "POST /new"}, left)
	})
}

func TestPruneTask(t *testing.T) {
	t.Parallel()
	db := migrated(t, "sqlite://:memory:")
	b := taskstest.Embedded(t)
	client := tasks.NewClient(b)
	s, err := NewStore(db, client)
	require.NoError(t, err)
	old := succeeded("old", 0)
	old.EnqueuedAt = time.Now().Add(-3 * time.Hour)
	old.StartedAt, old.EndedAt = old.EnqueuedAt, old.EnqueuedAt
	insert(t, s, old)
	require.NoError(t, db.Create(&models.AuditRecord{At: time.Now().Add(-91 * 24 * time.Hour), What: "POST /old"}).Error)
	mux := tasks.NewMux(tasks.MuxOptions{Logger: testenv.Quiet()})
	Bind(mux, s)
	taskstest.Serve(t, b, mux, "low")
	for age, want := range map[string]int{"": 0, "2h": 1} {
		res, err := PruneTask.Enqueue(t.Context(), client, PruneArgs{OlderThan: age})
		require.NoError(t, err)
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		done, err := res.Get(ctx)
		cancel()
		require.NoError(t, err)
		if age == "2h" {
			require.Equal(t, want, done.Records)
		}
	}
	require.Zero(t, count(t, db, &models.AuditRecord{}), "acts go with it")
	require.Empty(t, stored(t, db))
	for _, bad := range []string{"23h", "-720h", "a year", "720"} {
		_, err := PruneTask.Enqueue(t.Context(), client, PruneArgs{AuditOlderThan: bad})
		var wrong *tasks.ArgsError
		require.ErrorAs(t, err, &wrong)
		require.Equal(t, "audit_older_than", wrong.Field)
	}
	for _, bad := range []string{"59m", "-720h", "a month", "720"} {
		_, err := PruneTask.Enqueue(t.Context(), client, PruneArgs{OlderThan: bad})
		var wrong *tasks.ArgsError
		require.ErrorAs(t, err, &wrong)
		require.Equal(t, "older_than", wrong.Field)
	}
}
