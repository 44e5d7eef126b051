package deploy_test

import (
	"errors"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/tasks"
	"github.com/paidui/paidui/tasks/demo"
	"github.com/paidui/paidui/tasks/taskstest"
)

var (
	after     = tasks.Define[struct{}, int]("celery.after")
	failing   = tasks.Define[struct{}, int]("celery.failing")
	errBroken = errors.New("it is broken")
)

// TestComingFromCelery runs every row of the READMEs' tables, and nothing else.
func TestComingFromCelery(t *testing.T) {
	fromCelery, source := make(map[string]func(*testing.T)), celerySource(t)
	for _, some := range []map[string]func(*testing.T){celeryCalls, celeryResults, celeryRetries, celeryRuns} {
		for name, run := range some {
			require.NotContains(t, fromCelery, name)
			fromCelery[name] = run
		}
	}
	for _, readme := range []string{"../README.md", "../README.zh.md"} {
		rows := celeryTable(t, readme)
		require.ElementsMatch(t, slices.Collect(maps.Keys(fromCelery)), slices.Collect(maps.Keys(rows)), readme)
		for name, cell := range rows {
			for _, call := range regexp.MustCompile(`(?:tasks|taskstest)\.[A-Z]\w*|\.[A-Z]\w*\(`).FindAllString(cell, -1) {
				require.True(t, strings.Contains(source, call), "%s: no test has the %s of %s", readme, call, name)
			}
		}
	}
	for name, run := range fromCelery {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			run(t)
		})
	}
}

// celerySource is the text of these tests.
func celerySource(t *testing.T) string {
	t.Helper()
	files, err := filepath.Glob("celery_*_test.go")
	require.NoError(t, err)
	var all strings.Builder
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		all.Write(text)
	}
	return all.String()
}

// celeryTable is the table between its marks: the second column by the first.
func celeryTable(t *testing.T, file string) map[string]string {
	t.Helper()
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	_, rest, found := strings.Cut(string(text), "<!-- celery -->\n")
	require.True(t, found, file)
	table, _, _ := strings.Cut(rest, "<!-- /celery -->")
	rows := make(map[string]string)
	for line := range strings.Lines(table) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), " | ")
		if len(cells) == 2 && strings.HasPrefix(strings.TrimSpace(cells[0]), "`") {
			rows[strings.Trim(strings.TrimSpace(cells[0]), "`")] = cells[1]
		}
	}
	return rows
}

// adding runs the demo's sums inline.
func adding(t *testing.T) *taskstest.Queue {
	return taskstest.New(t, taskstest.Config{Bind: func(m *tasks.Mux, _ *tasks.Client) { demo.Bind(m) }})
}

func state[R any](t *testing.T, res *tasks.Result[R]) tasks.State {
	t.Helper()
	s, err := res.State(t.Context())
	require.NoError(t, err)
	return s
}
