package history

import (
	"encoding/base64"
	"fmt"
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
	"github.com/paidui/paidui/tasks/taskstest"
)

// store is a Store on an embedded Redis that knows no task.
func store(t *testing.T, db *gorm.DB) *Store {
	t.Helper()
	s, err := NewStore(db, tasks.NewClient(taskstest.Embedded(t)))
	require.NoError(t, err)
	return s
}

// insert writes the records at once.
func insert(t *testing.T, s *Store, records ...tasks.Record) {
	t.Helper()
	for part := range slices.Chunk(records, 200) {
		rows := make([]*row, len(part))
		for i, r := range part {
			made, ok := newRow(r, time.Now())
			require.True(t, ok)
			rows[i] = &made
		}
		_, err := s.table.write(t.Context(), rows)
		require.NoError(t, err)
	}
}

// pages reads a search to its end and returns the ids.
func pages(t *testing.T, s *Store, q Query) (ids []string) {
	t.Helper()
	for range 1000 {
		page, err := s.Search(t.Context(), q)
		require.NoError(t, err, "%+v", q)
		require.LessOrEqual(t, len(page.Tasks), max(q.Limit, 1))
		for _, info := range page.Tasks {
			ids = append(ids, info.ID)
		}
		if q.Cursor = page.Next; q.Cursor == "" {
			return ids
		}
	}
	require.Fail(t, "the pages have no end", "%+v", q)
	return nil
}

// TestSearchFindsWhatMatches compares searches of all kinds with going through all records.
func TestSearchFindsWhatMatches(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, db *gorm.DB) {
		s := store(t, db)
		kinds := []string{"a.one", "a.two", "b"}
		queues := []string{"default", "low"}
		states := []tasks.State{tasks.StateSuccess, tasks.StateFailure, tasks.StateRevoked, tasks.StateLost}
		tags := []string{"", "x", "y", "排队"}
		var all []tasks.Record
		for i := range 300 {
			r := succeeded(fmt.Sprintf("%s-%d", []string{"A", "a", "_"}[i%3], i), rand.IntN(100)) // many of the same moment
			r.Task, r.Queue, r.State = kinds[rand.IntN(3)], queues[rand.IntN(2)], states[rand.IntN(4)]
			if tag := tags[rand.IntN(4)]; tag != "" {
				r.Tags = []string{tag, "all"}
			}
			all = append(all, r)
		}
		insert(t, s, all...)
		slices.SortFunc(all, func(a, b tasks.Record) int {
			if c := b.EnqueuedAt.Compare(a.EnqueuedAt); c != 0 {
				return c
			}
			return strings.Compare(b.ID, a.ID)
		})
		pick := func(list []string) string { return list[rand.IntN(len(list))] }
		queries := 150
		if db.Name() == "sqlite" { // which is slow under the race detector
			queries = 30
		}
		for range testenv.Rounds(queries) {
			q := Query{Task: pick(append(kinds, "", "")), Queue: pick(append(queues, "")), Tag: pick(append(tags, "all", "", "")), Limit: 1 + rand.IntN(40)}
			if rand.IntN(2) == 0 {
				q.State = states[rand.IntN(4)]
			}
			if rand.IntN(3) == 0 {
				q.Since = epoch.Add(time.Duration(rand.IntN(50)) * time.Millisecond)
			}
			if rand.IntN(3) == 0 {
				q.Until = epoch.Add(time.Duration(50+rand.IntN(50)) * time.Millisecond)
			}
			var want []string
			for _, r := range all {
				if (q.Task == "" || q.Task == r.Task) && (q.Queue == "" || q.Queue == r.Queue) && (q.State == "" || q.State == r.State) &&
					(q.Tag == "" || slices.Contains(r.Tags, q.Tag)) && !r.EnqueuedAt.Before(q.Since) &&
					(q.Until.IsZero() || r.EnqueuedAt.Before(q.Until)) {
					want = append(want, r.ID)
				}
			}
			require.Equal(t, want, pages(t, s, q), "%+v", q)
		}
	})
}

func TestSearchShowsWhatIsKnown(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, db *gorm.DB) {
		s := store(t, db)
		r := succeeded("one", 5)
		r.Tags, r.Retries = []string{"x", "y"}, 2
		insert(t, s, r)
		want := &tasks.Info{
			ID: "one", Task: "demo.add", Queue: "default", State: tasks.StateSuccess, Args: []byte(`{"n":1,"m":2}`), Result: []byte("3"),
			Retries: 2, MaxRetries: 3, Attempts: []tasks.Attempt{}, Tags: []string{"x", "y"}, Worker: "worker-1",
			RequestID: "request", EnqueuedAt: &r.EnqueuedAt, StartedAt: &r.StartedAt, CompletedAt: &r.EndedAt,
		}
		page, err := s.Search(t.Context(), Query{})
		require.NoError(t, err)
		require.Equal(t, &Page{Tasks: []*tasks.Info{want}}, page)
		one, err := s.Find(t.Context(), "one")
		require.NoError(t, err)
		require.Equal(t, want, one)
		_, err = s.Find(t.Context(), "two")
		require.ErrorIs(t, err, tasks.ErrNotFound)

		long := succeeded("long", 6)
		long.Args, long.Result = []byte(`"`+strings.Repeat("x", inPage)+`"`), []byte("not JSON")
		insert(t, s, long)
		page, err = s.Search(t.Context(), Query{Limit: 1})
		require.NoError(t, err)
		require.Nil(t, page.Tasks[0].Args)
		require.JSONEq(t, `"not JSON"`, string(page.Tasks[0].Result))
		one, err = s.Find(t.Context(), "long")
		require.NoError(t, err)
		require.Len(t, one.Args, inPage+2)

		empty, err := s.Search(t.Context(), Query{Queue: "nowhere"})
		require.NoError(t, err)
		require.Equal(t, &Page{Tasks: []*tasks.Info{}}, empty)
	})
}

func TestSearchRefusesWhatMakesNoSense(t *testing.T) {
	t.Parallel()
	s := store(t, migrated(t, "sqlite://:memory:"))
	insert(t, s, succeeded("a", 1), succeeded("b", 2))
	page, err := s.Search(t.Context(), Query{Limit: 1, Queue: "default"})
	require.NoError(t, err)
	good := page.Next
	raw, err := base64.RawURLEncoding.DecodeString(good)
	require.NoError(t, err)
	raw[len(raw)-1]++
	for name, c := range map[string]struct {
		field string
		query Query
	}{
		"state":               {"state", Query{State: "success"}},
		"task":                {"task", Query{Task: strings.Repeat("x", 65)}},
		"bytes in the task":   {"task", Query{Task: "\xff"}},
		"queue":               {"queue", Query{Queue: "no queue"}},
		"tag of two words":    {"tag", Query{Tag: "two words"}},
		"tag of 10 KB":        {"tag", Query{Tag: strings.Repeat("x", 10<<10)}},
		"since":               {"since", Query{Since: time.Date(1, 2, 3, 4, 5, 6, 7, time.UTC)}},
		"until":               {"until", Query{Until: time.Unix(1<<50, 0)}},
		"until before since":  {"until", Query{Since: epoch, Until: epoch}},
		"limit":               {"limit", Query{Limit: 101}},
		"negative limit":      {"limit", Query{Limit: -1}},
		"cursor":              {"cursor", Query{Cursor: "x"}},
		"no base64":           {"cursor", Query{Cursor: "=%=" + good}},
		"cursor cut off":      {"cursor", Query{Queue: "default", Cursor: good[:len(good)-2]}},
		"cursor changed":      {"cursor", Query{Queue: "default", Cursor: base64.RawURLEncoding.EncodeToString(raw)}},
		"cursor of another":   {"cursor", Query{Queue: "low", Cursor: good}},
		"cursor of all zeros": {"cursor", Query{Cursor: strings.Repeat("A", 40)}},
		"long cursor":         {"cursor", Query{Cursor: strings.Repeat("A", 10_000)}},
	} {
		_, err := s.Search(t.Context(), c.query)
		var wrong *QueryError
		require.ErrorAs(t, err, &wrong, name)
		require.Equal(t, c.field, wrong.Field, name)
	}
	_, err = s.Search(t.Context(), Query{Limit: 5, Queue: "default", Cursor: good})
	require.NoError(t, err, "another limit is no other search")
}

// FuzzCursor reads cursors that anyone may send.
func FuzzCursor(f *testing.F) {
	q := Query{Queue: "default"}
	f.Add(q.cursor(place{epoch, "some-id"}))
	f.Add("AAAA")
	f.Fuzz(func(t *testing.T, given string) {
		q := Query{Queue: "default", Cursor: given}
		p, err := q.after()
		if err == nil && given != "" && q.cursor(p) != given {
			t.Fatalf("%q is read as %v", given, p)
		}
	})
}

func TestSearchOfTooManyKindsIsRefused(t *testing.T) {
	t.Parallel()
	s := store(t, migrated(t, testenv.MySQL(t)))
	var list []tasks.Record
	for i := range maxKinds + 1 {
		r := succeeded(idOf(i), i)
		r.Queue = fmt.Sprintf("tenant-%d", i)
		list = append(list, r)
	}
	insert(t, s, list[1:]...)
	require.Len(t, pages(t, s, Query{Limit: 100}), maxKinds)
	insert(t, s, list[0])
	_, err := s.Search(t.Context(), Query{})
	var wrong *QueryError
	require.ErrorAs(t, err, &wrong)
	require.Equal(t, "task", wrong.Field)
	require.Equal(t, []string{idOf(7)}, pages(t, s, Query{Queue: "tenant-7", Limit: 5}))
}

// TestATagOfManyIsSearchedInParts looks for the few failures among many records of a tag.
func TestATagOfManyIsSearchedInParts(t *testing.T) {
	t.Parallel()
	s := store(t, migrated(t, testenv.MySQL(t)))
	if testing.Short() {
		t.Skip("writes ten thousand records")
	}
	require.NoError(t, s.db.Exec("INSERT INTO paidui_task_records (task_id, task, queue, state, version, run, attempt, retries, max_retries,"+
		" args, result, error, worker, tags, request_id, room, created_at) SELECT CONCAT('task-', LPAD(seq, 5, '0')), 'demo.add', 'default',"+
		" IF(seq IN (3, ?), 'FAILURE', 'SUCCESS'), 1, 1, 1, 0, 3, '1', '', '', '', 'import', '', '', ? + INTERVAL seq * 1000 MICROSECOND FROM "+
		testenv.Numbers(0, 2*lookMost-1), 2*lookMost-3, epoch).Error)
	require.NoError(t, s.db.Exec("INSERT INTO paidui_task_tags (tag, created_at, task_id) SELECT 'import', created_at, task_id FROM paidui_task_records").Error)
	require.EqualValues(t, 2*lookMost, count(t, s.db, &models.TaskRecord{}))
	q := Query{Tag: "import", State: tasks.StateFailure, Limit: 20}
	first, err := s.Search(t.Context(), q)
	require.NoError(t, err)
	require.Len(t, first.Tasks, 1, "a page looks at so many records, no more")
	require.NotEmpty(t, first.Next)
	require.Equal(t, []string{idOf(2*lookMost - 3), idOf(3)}, pages(t, s, q))
	require.Len(t, pages(t, s, Query{Tag: "import", Limit: 100}), 2*lookMost)
	require.EqualValues(t, 2*lookMost, count(t, s.db, &models.TaskTag{}))
}

// TestWhatRunsIsFound: the record says STARTED for as long as nobody asks, while Redis knows of progress, or of the end.
func TestWhatRunsIsFound(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, db *gorm.DB) {
		w := newWorld(t, db)
		w.clock = epoch.Add(10 * time.Second)
		for i, state := range []tasks.State{tasks.StateStarted, tasks.StateProgress, tasks.StateSuccess, tasks.StateStarted} {
			r := enqueued(idOf(i), i)
			r.State, r.Worker, r.StartedAt = tasks.StateStarted, "worker-1", epoch.Add(time.Second)
			insert(t, w.Store, r)
			at := r.EnqueuedAt
			w.redis[idOf(i)] = &tasks.Info{ID: idOf(i), State: state, EnqueuedAt: &at}
		}
		delete(w.redis, idOf(3)) // it has ended without a trace, or will be told of
		insert(t, w.Store, enqueued("waits", 9), succeeded("done", 10))
		find := func(state tasks.State) (ids []string) {
			page, err := w.Search(t.Context(), Query{State: state})
			require.NoError(t, err)
			for _, info := range page.Tasks {
				ids = append(ids, info.ID+" "+string(info.State))
			}
			return ids
		}
		for range 2 { // before and after what was learned is written back
			require.Equal(t, []string{idOf(3) + " STARTED", idOf(1) + " PROGRESS", idOf(0) + " STARTED"}, find(StateRunning))
			require.Equal(t, []string{idOf(1) + " PROGRESS"}, find(tasks.StateProgress))
			require.Equal(t, []string{idOf(3) + " STARTED", idOf(0) + " STARTED"}, find(tasks.StateStarted))
		}
		require.Equal(t, []string{"done SUCCESS", idOf(2) + " SUCCESS"}, find(tasks.StateSuccess))
		w.redis[idOf(1)].State = tasks.StateStarted // it runs again, and has reported nothing yet
		require.Equal(t, []string{idOf(3) + " STARTED", idOf(1) + " STARTED", idOf(0) + " STARTED"}, find(tasks.StateStarted))
	})
}
