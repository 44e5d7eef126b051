package beat

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	programs "github.com/paidui/paidui/tasks/catalog"
	"github.com/paidui/paidui/tasks/schedule"
)

// TestShippedSchedules holds the times that the documentation names.
func TestShippedSchedules(t *testing.T) {
	t.Parallel()
	known, err := programs.New()
	require.NoError(t, err)
	s, err := Load(filepath.Join("..", "..", "deploy", "schedules.yaml"), known, time.UTC)
	require.NoError(t, err)
	shipped := make(map[string]schedule.Entry)
	for _, e := range s.Entries() {
		require.NotContains(t, shipped, e.Task.Name())
		require.False(t, e.Paused, e.Name)
		shipped[e.Task.Name()] = e
	}
	for task, rule := range map[string]string{
		"refresh.banners":    "every 10s",
		"refresh.followings": "0 3 * * *",
		"refresh.counters":   "0 3 * * *",
		"history.prune":      "0 4 * * *",
	} {
		require.Contains(t, shipped, task)
		require.Equal(t, rule, shipped[task].Rule.String())
		require.Equal(t, "Asia/Shanghai", shipped[task].Location.String())
	}
}

// TestTheDocumentedEntriesAreRight reads the entries that deploy/docs/schedules.md shows.
func TestTheDocumentedEntriesAreRight(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join("..", "..", "deploy", "docs", "schedules.md"))
	require.NoError(t, err)
	_, rest, found := strings.Cut(string(text), "```yaml\n")
	require.True(t, found)
	shown, _, _ := strings.Cut(rest, "```")
	known, err := programs.New()
	require.NoError(t, err)
	s, err := schedule.Reader{Catalog: known}.Read("", []byte(shown))
	require.NoError(t, err)
	require.Equal(t, 3, s.Len())
}
