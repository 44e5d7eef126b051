package shop

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/deploy/boot"
	"github.com/paidui/paidui/deploy/config"
	"github.com/paidui/paidui/tasks"
)

// label is one of a metric.
type label struct{ metric, name string }

// words are the values of labels that the table of the docs allows.
func words(t *testing.T) map[label][]string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "docs", "tasks.md"))
	require.NoError(t, err)
	_, table, found := strings.Cut(string(text), "| Label | Values | What they are |\n| --- | --- | --- |\n")
	require.True(t, found)
	table, _, _ = strings.Cut(table, "\n\n")
	list := make(map[label][]string)
	for row := range strings.Lines(table) {
		cells := strings.Split(row, "|")
		of := regexp.MustCompile("`(\\w+)` of `(\\w+)`").FindStringSubmatch(cells[1])
		require.NotNil(t, of, row)
		for _, value := range regexp.MustCompile("`(\\w+)`").FindAllStringSubmatch(cells[2], -1) {
			list[label{of[2], of[1]}] = append(list[label{of[2], of[1]}], value[1])
		}
	}
	return list
}

// likeStates are words that a reader takes for a task's state: Celery's in any case, and asynq's.
var likeStates = []string{
	string(tasks.StatePending), string(tasks.StateStarted), string(tasks.StateProgress), string(tasks.StateRetry),
	string(tasks.StateSuccess), string(tasks.StateFailure), string(tasks.StateRevoked), string(tasks.StateLost),
	"ACTIVE", "SCHEDULED", "ARCHIVED", "COMPLETED", "FAILED", "SUCCEEDED", "RUNNING", "ENDED", "DEAD",
}

// TestMetricsHaveOneVocabularyForStates holds what all programs in one show against the table of the docs.
func TestMetricsHaveOneVocabularyForStates(t *testing.T) {
	t.Parallel()
	allowed := words(t)
	for _, state := range []label{{"paidui_tasks_ended_total", "state"}} {
		for _, value := range allowed[state] {
			require.True(t, tasks.State(value).Final(), "%s is no state of a task", value)
		}
	}
	app, cfg := load(t, config.Local, []string{
		"PAIDUI_HTTP_ADDR=127.0.0.1:0",
		"PAIDUI_ADMIN_ADDR=127.0.0.1:0",
		"PAIDUI_DATABASE_URL=sqlite://" + filepath.Join(t.TempDir(), "paidui.db"),
		"PAIDUI_SCHEDULES=" + filepath.Join("..", "schedules.yaml"),
		"PAIDUI_LOG_LEVEL=error",
		"PAIDUI_OPERATOR_KEY=" + operatorKey,
	})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var out output
	ended := make(chan error, 1)
	go func() { ended <- boot.Local(ctx, app, cfg, &out) }()
	var where []string
	require.Eventually(t, func() bool {
		where = regexp.MustCompile(`(?s)ready\.  (http://\S+).*metrics\s+(http://\S+)/readyz`).FindStringSubmatch(out.String())
		return where != nil
	}, time.Minute, 20*time.Millisecond, "%s", &out)

	call := func(method, url, body string) string {
		req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
		require.NoError(t, err)
		req.Header.Set("Authorization", "Bearer "+operatorKey)
		if body != "" {
			req.Header.Set("Content-Type", "application/json")
		}
		return answerOf(t, req)
	}
	for id, args := range map[string]string{"good": `{"n":1,"m":2}`, "bad": `{"n":9223372036854775807,"m":1}`} {
		call(http.MethodPost, where[1]+"/v1/tasks", `{"task":"demo.add","max_retries":0,"id":"`+id+`","args":`+args+`}`)
		call(http.MethodGet, where[1]+"/v1/tasks/"+id+"?wait=30s", "")
	}
	series := regexp.MustCompile(`(?m)^(paidui_\w+?)(?:_bucket|_sum|_count)?\{(.*)\} `)
	pair := regexp.MustCompile(`(\w+)="([^"]*)"`)
	seen := make(map[label]bool)
	require.Eventually(t, func() bool {
		clear(seen)
		for _, line := range series.FindAllStringSubmatch(call(http.MethodGet, where[2]+"/metrics", ""), -1) {
			for _, one := range pair.FindAllStringSubmatch(line[2], -1) {
				of, value := label{line[1], one[1]}, one[2]
				if of.name == "queue" || of.name == "task" || of.name == "schedule" || of.name == "version" {
					continue // names that people give
				}
				known, listed := allowed[of]
				seen[of] = seen[of] || listed
				if listed || slices.Contains(likeStates, strings.ToUpper(value)) || of.name == "state" || of.name == "outcome" {
					require.Contains(t, known, value, "%s{%s} has a word that the table of the docs lacks", of.metric, of.name)
				}
			}
		}
		for of := range allowed {
			if !seen[of] {
				return false
			}
		}
		return true
	}, 2*time.Minute, 100*time.Millisecond, "the table has a label that nothing shows: %v of %v", &seen, allowed)
	require.Contains(t, call(http.MethodGet, where[2]+"/metrics", ""), `outcome="failure"`)
	cancel()
	require.NoError(t, <-ended)
}
