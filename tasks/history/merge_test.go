package history

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"
	"pgregory.net/rapid"

	"github.com/paidui/paidui/models"
	"github.com/paidui/paidui/tasks"
)

// course draws what several processes tell of one task over its life, in the order in which it happens. The last record
// is the one that must remain, whatever the order in which they arrive.
func course(t *rapid.T, id string) []tasks.Record {
	at := epoch.Add(time.Duration(rapid.IntRange(0, 1000).Draw(t, "at")) * time.Millisecond)
	clock := at
	tick := func() time.Time { clock = clock.Add(time.Millisecond); return clock }
	base := tasks.Record{
		ID: id, Task: "demo.add", Queue: "default", EnqueuedAt: at, MaxRetries: 3,
		Args: []byte(`{"n":1}`), RequestID: "request", Tags: []string{"a", "b"},
	}
	var list []tasks.Record
	worker, started := "", time.Time{}
	for run := 1; run <= rapid.IntRange(1, 3).Draw(t, "runs"); run++ {
		tell := func(state tasks.State, attempt int, change func(*tasks.Record)) {
			r := base
			r.Run, r.Attempt, r.State, r.Retries = run, attempt, state, max(attempt-1, 0)
			r.Worker, r.StartedAt = worker, started
			if change != nil {
				change(&r)
			}
			if rapid.Bool().Draw(t, "terse") { // it tells its own news only, as one who does not know the task
				r.Args, r.RequestID, r.Tags = nil, "", nil
				if state == tasks.StatePending || state == tasks.StateRevoked {
					r.Worker, r.StartedAt = "", time.Time{}
				}
			}
			list = append(list, r)
		}
		if run == 1 {
			list = append(list, base)
			list[0].State = tasks.StatePending
		} else {
			tell(tasks.StatePending, 0, nil)
		}
		attempts := rapid.IntRange(0, 3).Draw(t, "attempts")
		for attempt := 1; attempt <= attempts; attempt++ {
			worker, started = fmt.Sprintf("worker-%d", rapid.IntRange(1, 3).Draw(t, "worker")), tick()
			tell(tasks.StateStarted, attempt, nil)
			if attempt < attempts {
				tell(tasks.StateRetry, attempt, func(r *tasks.Record) { r.Error = fmt.Sprintf("error of %d", attempt) })
			}
		}
		end := rapid.SampledFrom([]tasks.State{tasks.StateSuccess, tasks.StateFailure, tasks.StateRevoked}).Draw(t, "end")
		tell(end, attempts, func(r *tasks.Record) {
			r.EndedAt = tick()
			if end == tasks.StateSuccess {
				r.Result = []byte("3")
			} else {
				r.Error = "the end of run " + fmt.Sprint(run)
			}
		})
	}
	// What the last one leaves out, the others tell.
	last := &list[len(list)-1]
	want := *last
	want.Args, want.RequestID, want.Tags, want.Worker, want.StartedAt = base.Args, base.RequestID, base.Tags, worker, started
	return append(list, want)
}

// TestOrderMakesNoDifference has several writers tell what they know of a few tasks, each what it knows and all of it in
// any order, some more than once, in batches of any size: the end of each task is what is stored.
func TestOrderMakesNoDifference(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, db *gorm.DB) {
		table, err := newTable(db)
		require.NoError(t, err)
		t.Cleanup(table.close)
		rapid.Check(t, func(rt *rapid.T) {
			require.NoError(rt, db.Exec("DELETE FROM paidui_task_records").Error)
			var told []tasks.Record
			want := map[string]row{}
			for i := range rapid.IntRange(1, 3).Draw(rt, "tasks") {
				all := course(rt, idOf(i))
				told = append(told, all[:len(all)-1]...)
				want[idOf(i)], _ = newRow(all[len(all)-1], epoch)
			}
			told = append(told, rapid.SliceOfN(rapid.SampledFrom(told), 0, 5).Draw(rt, "again")...)
			told = rapid.Permutation(told).Draw(rt, "order")
			for len(told) > 0 {
				buffer := newBuffer()
				n := rapid.IntRange(1, len(told)).Draw(rt, "batch")
				for _, r := range told[:n] {
					made, ok := newRow(r, epoch)
					require.True(rt, ok)
					buffer.add(made, epoch)
				}
				told = told[n:]
				var rows []*row
				for _, e := range buffer.take(func(*entry) bool { return true }, 1000, 1<<30) {
					rows = append(rows, &e.row)
				}
				_, err := table.write(t.Context(), rows)
				require.NoError(rt, err)
			}
			got := stored(t, db)
			require.Len(rt, got, len(want))
			for id, w := range want {
				require.Equal(rt, w, rowFrom(got[id]), id)
			}
		})
	})
}

// rowFrom is a stored record as a row.
func rowFrom(r models.TaskRecord) row {
	w := row{
		id: r.TaskID, task: r.Task, queue: r.Queue, state: r.State, version: r.Version, run: r.Run, attempt: r.Attempt,
		retries: r.Retries, maxRetries: r.MaxRetries, args: r.Args, result: r.Result, err: r.Error, worker: r.Worker,
		request: r.RequestID, tags: r.Tags, at: r.CreatedAt.UTC(),
	}
	if r.StartedAt != nil {
		w.started = r.StartedAt.UTC()
	}
	if r.FinishedAt != nil {
		w.ended = r.FinishedAt.UTC()
	}
	return w
}

func TestALaterTaskWithTheSameIDReplacesTheFirst(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, db *gorm.DB) {
		table, err := newTable(db)
		require.NoError(t, err)
		t.Cleanup(table.close)
		first, second := succeeded("daily", 0), enqueued("daily", 86_400_000)
		first.Tags = []string{"old"}
		second.Queue, second.RequestID, second.Args = "low", "", []byte(`{"n":9,"m":9}`)
		for range 2 {
			for _, r := range []tasks.Record{first, second} { // the first one again changes nothing
				made, ok := newRow(r, epoch)
				require.True(t, ok)
				_, err := table.write(t.Context(), []*row{&made})
				require.NoError(t, err)
			}
		}
		want, _ := newRow(second, epoch)
		require.Equal(t, want, rowFrom(stored(t, db)["daily"]))
	})
}

func TestVersionsOrderByRunEndAttemptAndState(t *testing.T) {
	t.Parallel()
	type step struct {
		run, attempt int
		state        tasks.State
	}
	var last int64
	for _, s := range []step{
		{1, 0, tasks.StatePending}, {1, 0, tasks.StateLost}, {1, 1, tasks.StateStarted}, {1, 1, tasks.StateRetry},
		{1, 2, tasks.StateStarted}, {1, 10_001, tasks.StateLost}, {1, 0, tasks.StateRevoked}, {1, 2, tasks.StateFailure},
		{1, 1 << 40, tasks.StateSuccess}, {2, 0, tasks.StatePending}, {2, 1, tasks.StateSuccess}, {1 << 40, 0, tasks.StatePending},
	} {
		version, ok := versionOf(s.run, s.attempt, s.state)
		require.True(t, ok)
		require.Greater(t, version, last, "%v", s)
		last = version
	}
	zero, ok := versionOf(0, -1, tasks.StateProgress)
	require.True(t, ok)
	started, _ := versionOf(1, 0, tasks.StateStarted)
	require.Equal(t, started, zero)
	_, ok = versionOf(1, 1, "SLEEPING")
	require.False(t, ok)
}

func TestRowsHoldWhatTheTableTakes(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, db *gorm.DB) {
		table, err := newTable(db)
		require.NoError(t, err)
		t.Cleanup(table.close)
		odd := "\xff\x00'\"\\;--排队" + strings.Repeat("名", 200)
		r := tasks.Record{
			ID: strings.Repeat("i", 128), Task: odd, Queue: odd, State: tasks.StateFailure, Attempt: 1 << 40,
			Args: []byte(odd), Result: make([]byte, maxJSON+1), Error: strings.Repeat("é", maxError), Worker: odd,
			RequestID: odd, Tags: []string{"good", "two words", "", strings.Repeat("x", 65), "排队"},
			StartedAt: time.Unix(1<<50, 0), EndedAt: time.Unix(-1<<40, 0),
		}
		made, ok := newRow(r, epoch.Add(time.Nanosecond))
		require.True(t, ok)
		_, err = table.write(t.Context(), []*row{&made})
		require.NoError(t, err)
		got := rowFrom(stored(t, db)[r.ID])
		require.Equal(t, made, got)
		require.Equal(t, "good 排队", got.tags)
		require.Equal(t, epoch, got.at)
		require.Contains(t, got.result, "1048577 bytes")
		require.EqualValues(t, 2, count(t, db, &models.TaskTag{}))

		for _, id := range []string{"", "a b", strings.Repeat("i", 129)} {
			_, ok := newRow(tasks.Record{ID: id, State: tasks.StatePending}, epoch)
			require.False(t, ok)
		}
	})
}

// TestBufferKeepsTheBytes holds the buffer's count of bytes against its content.
func TestBufferKeepsTheBytes(t *testing.T) {
	t.Parallel()
	b := newBuffer()
	for range 20_000 {
		id := idOf(rand.IntN(3000))
		switch rand.IntN(10) {
		case 0:
			b.drop()
		case 1:
			batch := b.take(func(*entry) bool { return rand.IntN(50) > 0 }, rand.IntN(100), 20_000)
			b.release(batch)
		case 2, 3, 4, 5:
			made, _ := newRow(enqueued(id, 0), epoch)
			b.add(made, epoch)
		default:
			made, _ := newRow(succeeded(id, 0), epoch)
			b.add(made, epoch)
		}
	}
	bytes, late := 0, 0
	for _, e := range b.rows {
		bytes += e.row.size()
		if e.late {
			late++
		}
	}
	require.Equal(t, bytes, b.bytes)
	require.Equal(t, late, b.late)
	waiting := len(b.rows)
	require.Len(t, b.take(func(*entry) bool { return true }, 1<<30, 1<<30), waiting)
	require.Empty(t, b.rows)
	require.Zero(t, b.late)
	require.False(t, b.drop())
}
