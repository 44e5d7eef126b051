package config

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestEverySettingIsDescribed(t *testing.T) {
	t.Parallel()
	programs := []string{string(API), string(Worker), string(Scheduler), string(Local), string(Migrate)}
	fields, names := map[string]bool{}, map[string]bool{}
	for _, s := range settings() {
		require.True(t, strings.HasPrefix(s.Variable, prefix), s.Field)
		require.Equal(t, strings.ToLower(strings.TrimPrefix(s.Variable, prefix)), s.Key)
		require.NotEmpty(t, s.Help, s.Field)
		require.False(t, names[s.Key], "two settings have the key %s", s.Key)
		fields[s.Field], names[s.Key] = true, true
		for _, by := range s.By {
			require.Contains(t, programs, string(by.Program), s.Field)
		}
		for _, p := range s.FlagIn {
			require.Contains(t, programs, p, s.Field)
		}
		if s.Flag != "" {
			require.NotEmpty(t, s.FlagIn, s.Field)
		}
		if s.Range != "" {
			require.Contains(t, s.Range, "..", s.Field)
		}
	}
	require.NotEmpty(t, fields)
}

func TestHelpNamesEverySetting(t *testing.T) {
	t.Parallel()
	lines := strings.Split(strings.TrimSuffix(Help(), "\n"), "\n")
	require.Len(t, lines, len(settings())+1)
	column := strings.Index(lines[0], "YAML KEY")
	for i, s := range settings() {
		line := lines[i+1]
		require.True(t, strings.HasPrefix(line, "  "+s.Variable+" "), line)
		require.True(t, strings.HasPrefix(line[column:], s.Key+" "), "not aligned: %s", line)
		require.Contains(t, line, s.Default)
		require.Contains(t, line, s.Help)
		for _, by := range s.By {
			require.Contains(t, line, string(by.Program)+": "+by.Value)
		}
	}
}
