package schedule

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/paidui/paidui/deploy/testenv"
	"github.com/paidui/paidui/models"
	"github.com/paidui/paidui/tasks"
	"github.com/paidui/paidui/tasks/taskstest"
)

func eachTable(t *testing.T, f func(t *testing.T, table *Table)) {
	t.Helper()
	for name, url := range map[string]string{"mysql": testenv.MySQL(t), "sqlite": "sqlite://" + t.TempDir() + "/x.db"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db, err := models.Open(t.Context(), url, models.Options{})
			require.NoError(t, err)
			t.Cleanup(func() { require.NoError(t, models.Close(db)) })
			require.NoError(t, models.Migrate(t.Context(), db))
			f(t, NewTable(db))
		})
	}
}

var someTime = time.Date(2026, 12, 1, 8, 0, 0, 123_456_000, time.UTC)

func rowWith(entry string, is *bool, base string) Row {
	return Row{Entry: entry, Paused: is, Base: base, By: "alice", At: someTime}
}

func put(t testing.TB, table *Table, kind, name string, row Row) {
	t.Helper()
	require.NoError(t, table.Edit(t.Context(), kind, name, func(*Row) (*Row, error) { return &row, nil }))
}

func TestTheRevisionCountsChanges(t *testing.T) {
	t.Parallel()
	eachTable(t, func(t *testing.T, table *Table) {
		s, err := table.Read(t.Context())
		require.NoError(t, err)
		require.Equal(t, Snapshot{Rows: []Row{}}, s)
		yes := true
		put(t, table, KindEntry, "a", rowWith(`{"x":1}`, nil, ""))
		put(t, table, KindEntry, "b", rowWith(`{}`, &yes, ""))
		put(t, table, KindOverride, "a", rowWith("", &yes, "base"))
		s, err = table.Read(t.Context())
		require.NoError(t, err)
		require.EqualValues(t, 3, s.Revision)
		require.Equal(t, []Row{
			{Name: "a", Kind: KindEntry, Entry: `{"x":1}`, By: "alice", At: someTime},
			{Name: "a", Kind: KindOverride, Paused: &yes, Base: "base", By: "alice", At: someTime},
			{Name: "b", Kind: KindEntry, Entry: `{}`, Paused: &yes, By: "alice", At: someTime},
		}, s.Rows)

		// What changes nothing, or fails, is no change.
		same := func(now *Row) (*Row, error) { return now, nil }
		require.NoError(t, table.Edit(t.Context(), KindEntry, "a", same))
		require.NoError(t, table.Edit(t.Context(), KindEntry, "none", same))
		failed := errors.New("no")
		require.ErrorIs(t, table.Edit(t.Context(), KindEntry, "a", func(*Row) (*Row, error) { return nil, failed }), failed)
		revision, err := table.Revision(t.Context())
		require.NoError(t, err)
		require.EqualValues(t, 3, revision)
		require.NoError(t, table.Edit(t.Context(), KindEntry, "a", func(*Row) (*Row, error) { return nil, nil }))
		entry, override, err := table.Named(t.Context(), "a")
		require.NoError(t, err)
		require.Nil(t, entry)
		require.NotNil(t, override)

		require.NoError(t, table.Raise(t.Context(), 100))
		require.NoError(t, table.Raise(t.Context(), 7))
		revision, err = table.Revision(t.Context())
		require.NoError(t, err)
		require.EqualValues(t, 102, revision)
	})
}

func TestChangesAtOnceAreAllCounted(t *testing.T) {
	t.Parallel()
	eachTable(t, func(t *testing.T, table *Table) {
		var writers sync.WaitGroup
		errs := make([]error, 8)
		for i := range errs {
			writers.Go(func() {
				errs[i] = table.Edit(t.Context(), KindEntry, fmt.Sprint("e", i), func(*Row) (*Row, error) {
					row := rowWith("{}", nil, "")
					return &row, nil
				})
			})
		}
		writers.Wait()
		require.NoError(t, errors.Join(errs...))
		s, err := table.Read(t.Context())
		require.NoError(t, err)
		require.EqualValues(t, len(errs), s.Revision)
		require.Len(t, s.Rows, len(errs))
	})
}

func TestTheTableIsBounded(t *testing.T) {
	t.Parallel()
	eachTable(t, func(t *testing.T, table *Table) {
		rows := make([]models.ScheduleEntry, MaxEntries)
		for i := range rows {
			rows[i] = models.ScheduleEntry{Name: fmt.Sprint("e", i), Kind: KindEntry, ChangedAt: someTime}
		}
		require.NoError(t, table.DB().CreateInBatches(rows, 200).Error)
		row := rowWith("{}", nil, "")
		err := table.Edit(t.Context(), KindEntry, "one more", func(*Row) (*Row, error) { return &row, nil })
		require.ErrorIs(t, err, ErrTooMany)
		put(t, table, KindEntry, "e1", row)
		revision, err := table.Revision(t.Context())
		require.NoError(t, err)
		require.EqualValues(t, 1, revision)
	})
}

func TestTidyDropsWhatTheFileHasOvertaken(t *testing.T) {
	t.Parallel()
	eachTable(t, func(t *testing.T, table *Table) {
		file, err := load(t, "schedules:\n  - {name: kept, task: test.noop, every: 5s}\n  - {name: changed, task: test.noop, every: 5s}\n  - {name: paused, task: test.noop, every: 5s}\n")
		require.NoError(t, err)
		kept, _ := file.Find("kept")
		yes := true
		put(t, table, KindOverride, "kept", rowWith("{}", nil, kept.Base))
		put(t, table, KindOverride, "changed", rowWith("{}", nil, "another"))
		put(t, table, KindOverride, "paused", rowWith("{}", &yes, "another"))
		put(t, table, KindOverride, "gone", rowWith("", &yes, "x"))
		put(t, table, KindEntry, "gone", rowWith("{}", nil, ""))
		superseded := errors.New("another is in force")
		_, err = table.Tidy(t.Context(), file, func() error { return superseded })
		require.ErrorIs(t, err, superseded)
		before, err := table.Read(t.Context())
		require.NoError(t, err)
		require.Len(t, before.Rows, 5)
		dropped, err := table.Tidy(t.Context(), file, func() error { return nil })
		require.NoError(t, err)
		require.Equal(t, []string{"changed", "gone", "paused"}, dropped)
		s, err := table.Read(t.Context())
		require.NoError(t, err)
		require.Equal(t, before.Revision+1, s.Revision)
		var left []string
		for _, row := range s.Rows {
			left = append(left, row.Kind+" "+row.Name+" "+row.Entry)
		}
		require.Equal(t, []string{"entry gone {}", "override kept {}", "override paused "}, left)
		dropped, err = table.Tidy(t.Context(), file, func() error { return errors.New("nothing to ask") })
		require.NoError(t, err)
		require.Empty(t, dropped)
	})
}

func TestALateTableIsOpenedOnce(t *testing.T) {
	t.Parallel()
	db, err := models.Open(t.Context(), "sqlite://"+t.TempDir()+"/x.db", models.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, models.Close(db)) })
	require.NoError(t, models.Migrate(t.Context(), db))
	tries := 0
	table := NewLateTable(func(context.Context) (*gorm.DB, error) {
		if tries++; tries == 1 {
			return nil, errors.New("away")
		}
		return db, nil
	})
	require.Nil(t, table.DB())
	_, err = table.Revision(t.Context())
	require.ErrorContains(t, err, "away")
	for range 2 {
		_, err = table.Revision(t.Context())
		require.NoError(t, err)
	}
	require.Equal(t, 2, tries)
	require.Equal(t, db, table.DB())
}

// TestWhatIsEncryptedElsewhereIsEncryptedInTheTable: the entry of a task whose arguments are.
func TestWhatIsEncryptedElsewhereIsEncryptedInTheTable(t *testing.T) {
	t.Parallel()
	type args struct {
		To string `json:"to"`
	}
	cat, err := tasks.NewCatalog(tasks.Define[args, string]("test.secret", tasks.Encrypted()), tasks.Define[args, string]("test.plain"))
	require.NoError(t, err)
	reader := func(keys ...string) Reader {
		return ReaderOf(cat, tasks.NewClient(nil, tasks.ClientOptions{Keys: taskstest.Keys(t, keys...)}), nil)
	}
	k1, k2 := taskstest.Key("k1"), taskstest.Key("k2")
	for _, c := range []struct {
		task   string
		sealed bool
	}{{"test.secret", true}, {"test.plain", false}} {
		text := []byte(`{"args":{"to":"13800138000"},"every":"1m","name":"a","task":"` + c.task + `"}`)
		e, err := reader(k1).ReadEntry(text)
		require.NoError(t, err)
		stored := reader(k1).Stored(e, text)
		require.Equal(t, c.sealed, !strings.Contains(stored, "13800138000"))
		row := Row{Name: "a", Kind: KindEntry, Entry: stored}
		for _, r := range []Reader{reader(k1), reader(k2, k1)} {
			got, err := r.EntryOf(row)
			require.NoError(t, err)
			require.JSONEq(t, `{"to":"13800138000"}`, string(got.Args))
		}
		row.Name = "b" // another one's
		_, err = reader(k1).Text(row)
		require.Equal(t, c.sealed, err != nil)
		for _, r := range []Reader{reader(k2), reader()} {
			_, err = r.EntryOf(Row{Name: "a", Entry: stored})
			require.Equal(t, c.sealed, errors.As(err, new(*tasks.KeyError)), "%v", err)
		}
	}
}

func TestMerge(t *testing.T) {
	t.Parallel()
	file, err := load(t, "schedules:\n  - {name: f, task: test.noop, every: 5s}\n  - {name: g, task: test.noop, every: 5s, paused: true}\n")
	require.NoError(t, err)
	f, _ := file.Find("f")
	g, _ := file.Find("g")
	yes, no := true, false
	named := func(name, kind string, row Row) Row {
		row.Name, row.Kind = name, kind
		return row
	}
	merged, errs := Reader{Catalog: catalog(t)}.Merge(file, Snapshot{Revision: 1, Rows: []Row{
		named("f", KindEntry, rowWith(`{"name":"f","task":"test.noop","every":"1h"}`, nil, "")),
		named("f", KindOverride, rowWith(`{"name":"f","task":"test.noop","every":"7s"}`, &yes, f.Base)),
		named("g", KindOverride, rowWith("", &no, g.Base)),
		named("h", KindOverride, rowWith("", &yes, "x")),
		named("t", KindEntry, rowWith(`{"name":"t","task":"test.noop","every":"9s"}`, &yes, "")),
		named("u", KindEntry, rowWith(`{"name":"u","task":"no.such","every":"9s"}`, nil, "")),
	}})
	require.Len(t, errs, 1)
	require.ErrorContains(t, errs[0], "no.such")
	require.Equal(t, 3, merged.Len())
	e, _ := merged.Find("f")
	require.Equal(t, []any{"every 7s", true, true, SourceFile, f.Base, someTime}, []any{e.Rule.String(), e.Paused, e.Shadows, e.Source, e.Base, e.Since})
	require.True(t, e.Override.Changed)
	e, _ = merged.Find("g")
	require.Equal(t, []any{false, true, false}, []any{e.Paused, e.OwnPaused, e.Override.Changed})
	e, _ = merged.Find("t")
	require.Equal(t, []any{"every 9s", true, SourceTable, "alice"}, []any{e.Rule.String(), e.Paused, e.Source, e.By})

	// The file says something else of f: only the pause is left.
	file, err = load(t, "schedules:\n  - {name: f, task: test.noop, every: 6s}\n")
	require.NoError(t, err)
	merged, errs = Reader{Catalog: catalog(t)}.Merge(file, Snapshot{Rows: []Row{
		named("f", KindOverride, rowWith(`{"name":"f","task":"test.noop","every":"7s"}`, &yes, f.Base)),
	}})
	require.Empty(t, errs)
	e, _ = merged.Find("f")
	require.Equal(t, []any{"every 6s", true, false, time.Time{}}, []any{e.Rule.String(), e.Paused, e.Override.Changed, e.Since})
}
