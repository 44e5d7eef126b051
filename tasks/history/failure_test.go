package history

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/paidui/paidui/models"
	"github.com/paidui/paidui/tasks"
)

// failed is the record of a task that failed so long ago.
func failed(id, text string, ago time.Duration) tasks.Record {
	r := succeeded(id, 0)
	r.State, r.Result, r.Error, r.Version = tasks.StateFailure, nil, text, "v1"
	r.EndedAt = time.Now().Add(-ago)
	r.StartedAt = r.EndedAt.Add(-time.Second)
	r.EnqueuedAt = r.EndedAt.Add(-time.Minute)
	return r
}

// failures are the groups of a query, on pages of one.
func failures(t *testing.T, s *Store, q FailureQuery) (groups []FailureGroup) {
	t.Helper()
	q.Limit = 1
	for range 100 {
		page, err := s.Failures(t.Context(), q)
		require.NoError(t, err)
		groups = append(groups, page.Groups...)
		if q.Cursor = page.Next; q.Cursor == "" {
			return groups
		}
	}
	require.Fail(t, "the pages have no end")
	return nil
}

func TestFailuresAreGrouped(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, db *gorm.DB) {
		s := store(t, db)
		other := failed("e", "article 5 is gone", 2*time.Minute)
		other.Task, other.Queue, other.Version = "demo.low", "low", "v2"
		old := failed("f", "article 6 is gone", 3*24*time.Hour)
		all := []tasks.Record{
			failed("a", "article 1 is gone", time.Minute), failed("b", "article 22 is gone", 3*time.Hour),
			failed("c", "dial tcp 10.0.0.1:6379: connection refused", time.Minute), failed("d", `no such user "ada"`, 5*time.Hour),
			other, old, succeeded("ok", 1), failed("ancient", "article 7 is gone", 20*24*time.Hour),
		}
		insert(t, s, all...)
		insert(t, s, all...) // writing them again changes nothing

		day := failures(t, s, FailureQuery{})
		require.Len(t, day, 3)
		g := day[0]
		require.Equal(t, []any{"article {n} is gone", int64(3)}, []any{g.Error, g.Count})
		require.Equal(t, []FailureShare{{"demo.add", 2}, {"demo.low", 1}}, g.Tasks)
		require.Equal(t, []FailureShare{{"v1", 2}, {"v2", 1}}, g.Versions)
		require.WithinDuration(t, all[1].EndedAt, g.First, time.Microsecond)
		require.WithinDuration(t, all[0].EndedAt, g.Last, time.Microsecond)
		require.Equal(t, []any{"a", tasks.StateFailure, "article 1 is gone", g.ErrorGroup},
			[]any{g.Example.ID, g.Example.State, g.Example.Error, g.Example.ErrorGroup})
		require.Equal(t, int64(1), day[1].Count)
		require.Len(t, failures(t, s, FailureQuery{Window: time.Hour}), 2)
		week := failures(t, s, FailureQuery{Window: 7 * 24 * time.Hour})
		require.Equal(t, int64(4), week[0].Count)
		low := failures(t, s, FailureQuery{Queue: "low", Task: "demo.low"})
		require.Len(t, low, 1)
		require.Equal(t, []any{int64(1), "e"}, []any{low[0].Count, low[0].Example.ID})
		require.Empty(t, failures(t, s, FailureQuery{Queue: "low", Task: "demo.add"}))

		// A task that is run again and fails again has failed twice.
		again := all[0]
		again.Run, again.EndedAt = 2, time.Now()
		insert(t, s, again)
		insert(t, s, all[0], again)
		require.Equal(t, int64(4), failures(t, s, FailureQuery{})[0].Count)
	})
}

func TestFailuresThatManyWriteAreCountedOnce(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, db *gorm.DB) {
		s := store(t, db)
		var all []tasks.Record
		for i := range 300 {
			all = append(all, failed(idOf(i), fmt.Sprintf("error %d of kind %s", i, strings.Repeat("x", i%3)), time.Minute))
		}
		var writers sync.WaitGroup
		for range 4 {
			writers.Go(func() {
				w := writer(t, db, Options{})
				for _, r := range all {
					w.Record(r)
				}
				require.NoError(t, w.Close(t.Context()))
			})
		}
		writers.Wait()
		groups := failures(t, s, FailureQuery{Window: time.Hour})
		require.Len(t, groups, 3)
		for _, g := range groups {
			require.Equal(t, int64(100), g.Count, g.Error)
		}
	})
}

func TestFailuresOfTooManyKindsAreOne(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, db *gorm.DB) {
		s := store(t, db)
		var all []tasks.Record
		const kinds = maxCounts + 50
		for i := range kinds {
			word := strings.NewReplacer("0", "a", "1", "b", "2", "c", "3", "d", "4", "e", "5", "f", "6", "g", "7", "h", "8", "i", "9", "j").Replace(fmt.Sprint(i))
			all = append(all, failed(idOf(i), "the error "+word, time.Minute))
		}
		for i := range all {
			all[i].EndedAt = all[0].EndedAt
		}
		insert(t, s, all...)
		page, err := s.Failures(t.Context(), FailureQuery{Limit: 2})
		require.NoError(t, err)
		require.Equal(t, []any{OtherErrors, otherErrors, int64(kinds - maxCounts)}, []any{page.Groups[0].ErrorGroup, page.Groups[0].Error, page.Groups[0].Count})
		require.Equal(t, int64(1), page.Groups[1].Count)
		require.EqualValues(t, 2*(maxCounts+1), count(t, db, &models.FailureCount{}))
	})
}

func TestEncryptedErrorsAreOneGroup(t *testing.T) {
	t.Parallel()
	one, normal := groupOf(`{"paidui_encrypted":"k1","data":"AAAA"}`)
	other, _ := groupOf(`{"paidui_encrypted":"k1","data":"BBBB"}`)
	require.Equal(t, one, other)
	require.Equal(t, "an encrypted error", normal)
}

func TestFailuresOfEarlierBuildsAreGroupedLater(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, db *gorm.DB) {
		s := store(t, db)
		for i := range 3 {
			r, ok := newRow(failed(idOf(i), fmt.Sprintf("article %d is gone", i), time.Hour), time.Now())
			require.True(t, ok)
			require.NoError(t, db.Create(&models.TaskRecord{
				TaskID: r.id, Task: r.task, Queue: "q" + fmt.Sprint(i), State: r.state, Version: r.version, Run: 1, Attempt: 1, Error: r.err,
				CreatedAt: r.at, StartedAt: &r.started, FinishedAt: &r.ended,
			}).Error)
		}
		require.Empty(t, failures(t, s, FailureQuery{}))
		var a adoption
		steps := 0
		for more := true; more; steps++ {
			var err error
			more, err = a.next(t.Context(), s, 2)
			require.NoError(t, err)
		}
		require.Equal(t, 2, steps)
		groups := failures(t, s, FailureQuery{})
		require.Len(t, groups, 1)
		require.Equal(t, []any{int64(3), []FailureShare{{"", 3}}}, []any{groups[0].Count, groups[0].Versions})
		_, err := a.next(t.Context(), s, 100)
		require.NoError(t, err)
		require.Equal(t, int64(3), failures(t, s, FailureQuery{})[0].Count, "what is known is left alone")
	})
}

// TestAdoptionBringsNothingBack: records are deleted after it has read them, and before it groups their failures.
func TestAdoptionBringsNothingBack(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, db *gorm.DB) {
		s := store(t, db)
		insert(t, s, failed("a", "article 1 is gone", time.Minute), failed("b", "article 2 is gone", time.Minute))
		kinds, err := s.kinds(t.Context(), "")
		require.NoError(t, err)
		list, err := s.oldestOf(t.Context(), adoptColumns, kinds[0], endOfTime, place{at: time.Now().UTC().Add(-countedFor)}, 500)
		require.NoError(t, err)
		require.Len(t, list, 2)
		n, err := s.Delete(t.Context(), []string{"a", "b"})
		require.NoError(t, err)
		require.Equal(t, 2, n)
		require.NoError(t, s.adoptAll(t.Context(), list))
		var left int64
		require.NoError(t, db.Model(&models.TaskRecord{}).Count(&left).Error)
		require.Zero(t, left)
		require.EqualValues(t, 2, failures(t, s, FailureQuery{})[0].Count)
	})
}

func TestPruneForgetsFailures(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, db *gorm.DB) {
		s := store(t, db)
		insert(t, s, failed("old", "a", 7*24*time.Hour), failed("young", "b", time.Hour))
		later := time.Now().Add(2 * 24 * time.Hour)
		s.now = func() time.Time { return later }
		done, err := s.Prune(t.Context(), 8*24*time.Hour, nil)
		require.NoError(t, err)
		require.Equal(t, 1, done.Records)
		require.EqualValues(t, 1, count(t, db, &models.TaskFailure{}))
		require.EqualValues(t, 2, count(t, db, &models.FailureCount{}))
	})
}

func TestFailureQueriesThatMakeNoSenseAreRefused(t *testing.T) {
	t.Parallel()
	s := store(t, migrated(t, "sqlite://:memory:"))
	insert(t, s, failed("a", "a", time.Minute), failed("b", "b", time.Minute))
	page, err := s.Failures(t.Context(), FailureQuery{Limit: 1})
	require.NoError(t, err)
	for field, q := range map[string]FailureQuery{
		"window": {Window: 2 * time.Hour}, "task": {Task: strings.Repeat("x", 65)}, "queue": {Queue: "no queue"},
		"limit": {Limit: 101}, "cursor": {Window: time.Hour, Cursor: page.Next},
	} {
		_, err := s.Failures(t.Context(), q)
		var wrong *QueryError
		require.ErrorAs(t, err, &wrong)
		require.Equal(t, field, wrong.Field)
	}
}
