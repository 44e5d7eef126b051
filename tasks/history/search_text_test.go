package history

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/paidui/paidui/models"
	"github.com/paidui/paidui/tasks"
)

func TestTextOfAQuery(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]textQuery{
		"":                       nil,
		"One two":                {"one", "two"},
		`say "Hello  World" now`: {"say", "hello  world", "now"},
		"“连接 被拒” 超时":             {"连接 被拒", "超时"},
		`a"b c"d`:                {"a", "b c", "d"},
		`"" x`:                   {"x"},
		"100% under_score \\n":   {"100%", "under_score", `\n`},
	} {
		got, err := parseText(text)
		require.NoError(t, err, text)
		require.Equal(t, want, got, text)
	}
	for _, text := range []string{" ", `""`, `"open`, "“open", "a\x00b", "a\nb", "\xff", strings.Repeat("字", MaxText+1), strings.Repeat("a ", MaxWords+1)} {
		_, err := parseText(text)
		var wrong *QueryError
		require.ErrorAs(t, err, &wrong, "%q", text)
		require.Equal(t, "q", wrong.Field)
	}
}

func TestPlainJSON(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]string{
		`{"a":"b"}`: `{"a":"b"}`, `"\u4e2d\u6587"`: `"中文"`, `"say \"hi\" \\ \/ \n."`: `"say "hi" \ /  ."`,
		`"\ud83d\ude00"`: `"😀"`, `"\ud83d"`: "\"\uFFFD\"", `"\u12`: `"u12`, `\`: `\`, `"\ud83dx"`: "\"\uFFFDx\"",
	} {
		require.Equal(t, want, plainJSON(raw), raw)
	}
}

func FuzzPlainJSON(f *testing.F) {
	f.Add(`"\u4e2d\ud83d\ude00\`)
	f.Fuzz(func(t *testing.T, raw string) { require.LessOrEqual(t, len(plainJSON(raw)), 2*len(raw)+3) })
}

// TestWordsAreFound compares searches for words, with other filters, with going through all records.
func TestWordsAreFound(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, db *gorm.DB) {
		s := store(t, db)
		contents := []string{`{"name":"Ada Lovelace"}`, `{"名字":"阿达"}`, `{"n":"\u963f\u8fbe"}`, `{"rate":"100%"}`, `{"rate":"100x","a_b":1}`, `"say \"hi\""`,
			`{"paidui_encrypted":"k","data":"Ada"}`, ""}
		errs := []string{"", "dial tcp 10.0.0.1:6379: connection refused", "连接被拒绝：ADA"}
		states := []tasks.State{tasks.StateSuccess, tasks.StateFailure, tasks.StateRevoked}
		queues := []string{"default", "low"}
		var all []tasks.Record
		for i := range 200 {
			r := succeeded(idOf(i), rand.IntN(50))
			r.State, r.Queue = states[rand.IntN(3)], queues[rand.IntN(2)]
			r.Args, r.Result, r.Error = []byte(contents[rand.IntN(len(contents))]), []byte(contents[rand.IntN(len(contents))]), errs[rand.IntN(3)]
			if rand.IntN(2) == 0 {
				r.Tags = []string{"x"}
			}
			all = append(all, r)
		}
		insert(t, s, all...)
		slices.SortFunc(all, func(a, b tasks.Record) int {
			return place{a.EnqueuedAt, a.ID}.compare(place{b.EnqueuedAt, b.ID})
		})
		refused, _ := groupOf(errs[1])
		has := func(r tasks.Record, word string) bool {
			for _, text := range []string{string(r.Args), string(r.Result), r.Error} {
				if !tasks.IsEncrypted(text) && strings.Contains(strings.ToLower(plainJSON(text)), strings.ToLower(word)) {
					return true
				}
			}
			return false
		}
		for _, words := range [][]string{{"ada"}, {"阿达"}, {"100%"}, {"100_"}, {"hi"}, {"LOVELACE", "refused"}, {"connection refused"}, {"data"}, {"nowhere"}, {"a_b"}} {
			for _, q := range []Query{{}, {State: tasks.StateFailure}, {Queue: "low"}, {Tag: "x"}, {Tag: "x", Queue: "low"}, {ErrorGroup: refused}, {ErrorGroup: refused, Tag: "x"}} {
				q.Text, q.Limit = `"`+strings.Join(words, `" "`)+`"`, 1+rand.IntN(20)
				var want []string
				for _, r := range all {
					fits := (q.State == "" || q.State == r.State) && (q.Queue == "" || q.Queue == r.Queue) && (q.Tag == "" || r.Tags != nil) &&
						(q.ErrorGroup == "" || r.State == tasks.StateFailure && r.Error == errs[1])
					for _, word := range words {
						fits = fits && has(r, word)
					}
					if fits {
						want = append(want, r.ID)
					}
				}
				require.Equal(t, want, pages(t, s, q), "%+v", q)
			}
		}
	})
}

func TestTasksOfAnErrorGroup(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, db *gorm.DB) {
		s := store(t, db)
		group, _ := groupOf("article 1 is gone")
		for i, text := range []string{"article 1 is gone", "article 22 is gone", "another error", "article 3 is gone", "article 4 is gone"} {
			r := succeeded(idOf(i), i)
			r.State, r.Error, r.Result = tasks.StateFailure, text, nil
			insert(t, s, r)
		}
		again := succeeded(idOf(3), 3) // it was run again
		again.Run = 2
		insert(t, s, again)
		require.Equal(t, []string{idOf(4), idOf(1), idOf(0)}, pages(t, s, Query{ErrorGroup: group, Limit: 2}))
		require.Equal(t, []string{idOf(4), idOf(1), idOf(0)}, pages(t, s, Query{ErrorGroup: group, State: tasks.StateFailure, Limit: 3}))
		require.Empty(t, pages(t, s, Query{ErrorGroup: group, State: tasks.StateSuccess, Limit: 3}))
		require.Empty(t, pages(t, s, Query{ErrorGroup: OtherErrors}))
		found, err := s.Find(t.Context(), idOf(1))
		require.NoError(t, err)
		require.Equal(t, group, found.ErrorGroup)
		_, err = s.Search(t.Context(), Query{ErrorGroup: "x"})
		var wrong *QueryError
		require.ErrorAs(t, err, &wrong)
		require.Equal(t, "error_group", wrong.Field)
	})
}

// TestAWalkGoesOnByItsCursor stops after each step and begins anew, while records that it has passed change their states.
func TestAWalkGoesOnByItsCursor(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, db *gorm.DB) {
		s := store(t, db)
		var want []string
		for i := range 100 {
			r := succeeded(idOf(i), i/3)
			r.State, r.Task = []tasks.State{tasks.StateFailure, tasks.StateSuccess, tasks.StateRevoked}[i%3], "task-"+fmt.Sprint(i%7)
			if insert(t, s, r); r.State != tasks.StateSuccess {
				want = append(want, r.ID)
			}
		}
		slices.Reverse(want)
		for _, text := range []string{"", "n"} {
			var got []string
			for q, more := (Query{Text: text}), true; more; {
				w, err := s.Walk(t.Context(), q, tasks.StateFailure, tasks.StateRevoked)
				require.NoError(t, err)
				found, looked, err := w.Next(t.Context(), 7)
				require.NoError(t, err)
				for _, f := range found {
					got = append(got, f.ID)
					if text != "" {
						require.NoError(t, db.Model(&models.TaskRecord{}).Where("task_id = ?", f.ID).Update("state", "PENDING").Error)
					}
				}
				q.Cursor, more = w.Cursor(), looked == 7
			}
			require.ElementsMatch(t, want, got)
		}
	})
}

func TestASearchForWordsIsBounded(t *testing.T) {
	t.Parallel()
	s := store(t, migrated(t, "sqlite://:memory:"))
	var all []tasks.Record
	for i := range lookMost + 10 {
		r := succeeded(idOf(i), i)
		if i == 0 {
			r.Args = []byte(`"needle"`)
		}
		all = append(all, r)
	}
	insert(t, s, all...)
	page, err := s.Search(t.Context(), Query{Text: "needle"})
	require.NoError(t, err)
	require.Empty(t, page.Tasks, "a page looks at so many records, no more")
	require.NotEmpty(t, page.Next)
	require.Equal(t, []string{idOf(0)}, pages(t, s, Query{Text: "needle", Limit: 1}))
	_, err = s.Search(t.Context(), Query{Text: "other", Cursor: page.Next})
	var wrong *QueryError
	require.ErrorAs(t, err, &wrong)
	require.Equal(t, "cursor", wrong.Field)
}
