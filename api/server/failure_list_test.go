package server_test

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/tasks"
)

// failureList is GET /v1/failures.
type failureList struct {
	Since    time.Time
	Failures []struct {
		ErrorGroup string `json:"error_group"`
		Error      string
		Count      int
		First      time.Time `json:"first_seen"`
		Last       time.Time `json:"last_seen"`
		Tasks      []struct {
			Task  string
			Count int
		}
		Versions []struct {
			Version string
			Count   int
		}
		Example *task
	}
	Next *string `json:"next_cursor"`
}

// failed is the record of a task that has just failed.
func failed(id, text string) tasks.Record {
	r := ended(id, 0, tasks.StateFailure)
	r.Error, r.Result, r.Version = text, nil, "v1.2"
	r.StartedAt, r.EndedAt = time.Now(), time.Now()
	return r
}

func TestFailuresOverHTTP(t *testing.T) {
	t.Parallel()
	for name, s := range map[string]*system{"redis": start(t, withKeys), "embedded": assembleEmbedded(t, withKeys)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s.remember(t, failed("a", "article 1 is gone"), failed("b", "article 2 is gone"), failed("c", `no user "ada"`), ended("d", 3, tasks.StateSuccess))
			var list failureList
			s.Get("/v1/failures?window=1h&limit=1", asOperator).Into(t, &list)
			require.Len(t, list.Failures, 1)
			g := list.Failures[0]
			require.Equal(t, []any{"article {n} is gone", 2, "demo.add", 2, "v1.2", 2},
				[]any{g.Error, g.Count, g.Tasks[0].Task, g.Tasks[0].Count, g.Versions[0].Version, g.Versions[0].Count})
			require.Equal(t, []any{"FAILURE", map[string]any{"n": 1.0, "m": 2.0}}, []any{g.Example.State, g.Example.Args})
			require.Equal(t, "b a", strings.Join(s.search(t, "error_group="+g.ErrorGroup), " "))
			require.Equal(t, "a", strings.Join(s.search(t, "q="+url.QueryEscape(`"article 1"`)+"&error_group="+g.ErrorGroup), " "))
			require.Equal(t, "c", strings.Join(s.search(t, "q=ADA&state=FAILURE"), " "))
			require.NotNil(t, list.Next)
			s.Get("/v1/failures?window=1h&limit=1&cursor="+*list.Next, asOperator).Into(t, &list)
			require.Equal(t, []any{"no user {quoted}", 1}, []any{list.Failures[0].Error, list.Failures[0].Count})
			require.Nil(t, list.Next)
			s.Get("/v1/failures?task=demo.low", asOperator).Into(t, &list)
			require.Empty(t, list.Failures)

			s.Get("/v1/failures", asWall, inEnglish).Into(t, &list)
			require.Equal(t, []any{2, "the task failed", "the task failed"}, []any{len(list.Failures), list.Failures[0].Error, list.Failures[0].Example.Error})
			require.Nil(t, list.Failures[0].Example.Args)
			require.Equal(t, 100, s.Get("/v1/tasks?error_group="+g.ErrorGroup, asWall).Code)
			a := s.Get("/v1/tasks?q=ada", asWall)
			require.Equal(t, []any{403, "q"}, []any{a.Code, a.Field})

			require.NotContains(t, string(s.Get("/v1/tasks/a").Raw), "error_group")
			for query, field := range map[string]string{
				"failures?window=2h": "window", "failures?window=x": "window", "failures?limit=0": "limit", "failures?cursor=x": "cursor",
				"failures?queue=a+b": "queue", "failures?task=" + strings.Repeat("x", 65): "task", "failures?x=1": "x",
				"tasks?q=+": "q", "tasks?q=%22open": "q", "tasks?q=" + strings.Repeat("x", 201): "q", "tasks?error_group=x": "error_group",
			} {
				a := s.Get("/v1/"+query, asOperator)
				require.Equal(t, []any{400, field}, []any{a.Code, a.Field}, query)
			}
			require.Equal(t, 401, s.Get("/v1/failures").Code)
		})
	}
}
