package history

import (
	"encoding/binary"
	"slices"
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
			one, ok := stubOf(r)
			require.True(t, ok, "%+v", r)
			stubs = append(stubs, one)
			want[r.id] = *r
		}
		for _, b := range bundlesOf(stubs, epoch) {
			got, err := unpack(b)
			require.NoError(t, err)
			require.Len(t, got, b.Tasks)
			require.True(t, slices.IsSortedFunc(got, func(a, b *row) int { return a.at.Compare(b.at) }))
			require.Equal(t, []time.Time{b.FirstAt, b.LastAt}, []time.Time{got[0].at, got[len(got)-1].at})
			for _, r := range got {
				require.Equal(t, want[r.id], *r)
				delete(want, r.id)
			}
		}
		require.Empty(t, want)
	})
}

// TestPlainPendingRowsAreWrittenWhole: their statement leaves out what is the same in all of them.
func TestPlainPendingRowsAreWrittenWhole(t *testing.T) {
	t.Parallel()
	good := waiting("default", epoch)
	require.True(t, rowsFrom(t, good)[0].isPlainPending())
	for name, change := range map[string]func(*tasks.Record){
		"tags":            func(r *tasks.Record) { r.Tags = []string{"x"} },
		"started":         func(r *tasks.Record) { r.State, r.Attempt = tasks.StateStarted, 1 },
		"snoozed":         func(r *tasks.Record) { r.State = tasks.StateRetry },
		"ended":           func(r *tasks.Record) { *r = ended(*r) },
		"run again":       func(r *tasks.Record) { r.Run = 2 },
		"attempted":       func(r *tasks.Record) { r.Attempt = 1 },
		"retried":         func(r *tasks.Record) { r.Retries = 1 },
		"failed":          func(r *tasks.Record) { r.Error = "no" },
		"begun":           func(r *tasks.Record) { r.StartedAt = epoch },
		"known by worker": func(r *tasks.Record) { r.Worker = "w" },
	} {
		r := good
		change(&r)
		require.False(t, rowsFrom(t, r)[0].isPlainPending(), name)
	}
	eachDatabase(t, func(t *testing.T, db *gorm.DB) {
		s := store(t, db)
		all := waitingTasks(statementRows[0]+5, epoch)
		insert(t, s, all...)
		got := stored(t, db)
		require.Len(t, got, len(all))
		for _, r := range rowsFrom(t, all...) {
			require.Equal(t, *r, rowFrom(got[r.id]))
			require.Equal(t, room, got[r.id].Room)
		}
	})
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
