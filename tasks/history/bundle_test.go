package history

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"gorm.io/gorm"
	"pgregory.net/rapid"

	"github.com/paidui/paidui/models"
	"github.com/paidui/paidui/tasks"
)

// newID is what tasks.NewID returns at the time.
func newID(queue string, at time.Time) string {
	id := uuid.Must(uuid.NewV7())
	var ms [8]byte
	binary.BigEndian.PutUint64(ms[:], uint64(at.UnixMilli())<<16)
	copy(id[:6], ms[:6])
	return queue + "_" + id.String()
}

// waiting is the record of a task that was enqueued then, under a generated id.
func waiting(queue string, at time.Time) tasks.Record {
	r := enqueued(newID(queue, at), 0)
	r.Queue, r.EnqueuedAt = queue, at
	return r
}

// ended is the record of the worker that ran the task.
func ended(r tasks.Record) tasks.Record {
	r.State, r.Attempt, r.Result, r.Worker = tasks.StateSuccess, 1, []byte("3"), "worker-1"
	r.StartedAt, r.EndedAt = r.EnqueuedAt.Add(time.Millisecond), r.EnqueuedAt.Add(2*time.Millisecond)
	return r
}

func rowsFrom(t require.TestingT, records ...tasks.Record) []*row {
	rows := make([]*row, len(records))
	for i, r := range records {
		made, ok := newRow(r, epoch)
		require.True(t, ok)
		rows[i] = &made
	}
	return rows
}

// bundled puts the records into bundles, however few they are. They are due then.
func bundled(t require.TestingT, s *Store, then time.Time, records ...tasks.Record) {
	var stubs []stub
	for _, r := range rowsFrom(t, records...) {
		one, ok := stubOf(r)
		require.True(t, ok, "%+v", r)
		stubs = append(stubs, one)
	}
	for _, b := range bundlesOf(stubs, then.Add(-firstLook)) {
		require.NoError(t, s.db.Create(b).Error)
	}
}

func TestBundlesGiveBackWhatTheyWereGiven(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var rows []*row
		for range rapid.IntRange(1, 200).Draw(t, "tasks") {
			at := epoch.Add(time.Duration(rapid.IntRange(0, 30_000).Draw(t, "at")) * time.Millisecond)
			r := waiting(rapid.SampledFrom([]string{"default", "low", "q_-9"}).Draw(t, "queue"), at)
			r.Task = rapid.StringN(0, 20, 64).Draw(t, "task")
			r.Args = []byte(rapid.String().Draw(t, "args"))
			r.RequestID = rapid.StringN(0, 40, 128).Draw(t, "request")
			r.MaxRetries = rapid.Int().Draw(t, "retries")
			rows = append(rows, rowsFrom(t, r)...)
		}
		var stubs []stub
		want := map[string]row{}
		for _, r := range rows {
			if one, ok := stubOf(r); ok {
				stubs = append(stubs, one)
				want[r.id] = *r
			} else {
				require.True(t, strings.ContainsAny(r.task, kindMarks), "%+v", r)
			}
		}
		for _, b := range bundlesOf(stubs, epoch) {
			got, err := unpack(b)
			require.NoError(t, err)
			require.Len(t, got, b.Tasks)
			require.True(t, slices.IsSortedFunc(got, func(a, b row) int { return a.at.Compare(b.at) }))
			require.Equal(t, []time.Time{b.FirstAt, b.LastAt}, []time.Time{got[0].at, got[len(got)-1].at})
			require.LessOrEqual(t, b.LastAt.Sub(b.FirstAt), bundleSpan)
			require.Equal(t, epoch.Add(firstLook), b.LookAt)
			for _, id := range strings.Fields(b.Probe) {
				require.True(t, slices.ContainsFunc(got, func(r row) bool { return r.id == id }))
			}
			require.Len(t, strings.Fields(b.Probe), min(probes, len(got)))
			for _, r := range got {
				require.Equal(t, want[r.id], r)
				require.True(t, (&Query{Task: r.task, Queue: r.queue}).mayHold(b.Kinds))
				delete(want, r.id)
			}
		}
		require.Empty(t, want)
	})
}

func TestOnlyTasksThatWaitGoIntoBundles(t *testing.T) {
	t.Parallel()
	at := epoch
	good := waiting("default", at)
	_, ok := stubOf(rowsFrom(t, good)[0])
	require.True(t, ok)
	for name, change := range map[string]func(*tasks.Record){
		"chosen id":       func(r *tasks.Record) { r.ID = "daily" },
		"id like chosen":  func(r *tasks.Record) { r.ID = "x" + strings.Repeat("-", uuidLength) },
		"no queue in id":  func(r *tasks.Record) { r.ID = r.ID[len(r.ID)-uuidLength:] },
		"other version":   func(r *tasks.Record) { r.ID = "default_" + uuid.NewString() },
		"upper case":      func(r *tasks.Record) { r.ID = "default_" + strings.ToUpper(uuid.Must(uuid.NewV7()).String()) },
		"id of long ago":  func(r *tasks.Record) { r.EnqueuedAt = at.Add(time.Second) },
		"tags":            func(r *tasks.Record) { r.Tags = []string{"x"} },
		"started":         func(r *tasks.Record) { r.State, r.Attempt = tasks.StateStarted, 1 },
		"snoozed":         func(r *tasks.Record) { r.State = tasks.StateRetry },
		"ended":           func(r *tasks.Record) { *r = ended(*r) },
		"run again":       func(r *tasks.Record) { r.Run = 2 },
		"retried":         func(r *tasks.Record) { r.Retries = 1 },
		"odd task":        func(r *tasks.Record) { r.Task = "a\nb" },
		"known by worker": func(r *tasks.Record) { r.Worker = "w" },
	} {
		r := good
		change(&r)
		_, ok := stubOf(rowsFrom(t, r)[0])
		require.False(t, ok, name)
	}
}

func TestBundlesOfManyKindsNameNone(t *testing.T) {
	t.Parallel()
	var stubs []stub
	for i := range 200 {
		r := waiting("default", epoch)
		r.Task = fmt.Sprintf("task-number-%d", i)
		one, ok := stubOf(rowsFrom(t, r)[0])
		require.True(t, ok)
		stubs = append(stubs, one)
	}
	b := bundlesOf(stubs, epoch)[0]
	require.Empty(t, b.Kinds)
	require.True(t, (&Query{Task: "any"}).mayHold(b.Kinds))
	require.False(t, (&Query{State: tasks.StateSuccess}).mayHold(b.Kinds))
	few := bundlesOf(stubs[:2], epoch)[0]
	require.False(t, (&Query{Task: "any"}).mayHold(few.Kinds))
}

func FuzzUnpack(f *testing.F) {
	one, _ := stubOf(rowsFrom(f, waiting("default", epoch))[0])
	two, _ := stubOf(rowsFrom(f, waiting("low", epoch.Add(time.Second)))[0])
	f.Add(pack([]stub{one, two}))
	f.Add([]byte{bundleForm})
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, data []byte) {
		rows, err := unpack(&models.TaskBundle{Records: data})
		if err != nil {
			require.ErrorIs(t, err, errBundle)
			require.Nil(t, rows)
		}
	})
}

// TestManyThatWaitBecomeBundles is what a writer makes of a burst, and of a trickle.
func TestManyThatWaitBecomeBundles(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, db *gorm.DB) {
		s := store(t, db)
		now := time.Now().UTC().Truncate(time.Millisecond)
		w := writer(t, db, Options{})
		var ids []string
		for i := range 2500 {
			r := waiting("default", now)
			if i%100 == 0 {
				r.Tags = []string{"hundredth"}
			}
			ids = append(ids, r.ID)
			w.Record(r)
		}
		require.NoError(t, w.Close(t.Context()))
		require.EqualValues(t, 25, count(t, db, &models.TaskRecord{}), "those with tags")
		require.LessOrEqual(t, count(t, db, &models.TaskBundle{}), int64(2500/leastBundle))
		require.ElementsMatch(t, ids, pages(t, s, Query{State: tasks.StatePending, Limit: MaxLimit}))
		require.Len(t, pages(t, s, Query{Tag: "hundredth", Limit: MaxLimit}), 25)
		info, err := s.Find(t.Context(), ids[1234])
		require.NoError(t, err)
		require.Equal(t, []string{"PENDING", `{"n":1,"m":2}`}, []string{string(info.State), string(info.Args)})
		require.Equal(t, now, *info.EnqueuedAt)
		_, err = s.Find(t.Context(), newID("default", now))
		require.ErrorIs(t, err, tasks.ErrNotFound)

		few := writer(t, db, Options{})
		for range leastBundle - 1 {
			few.Record(waiting("default", now))
		}
		require.NoError(t, few.Close(t.Context()))
		require.EqualValues(t, 25+leastBundle-1, count(t, db, &models.TaskRecord{}))
	})
}
