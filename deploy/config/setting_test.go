package config

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

func TestEverySettingIsDescribed(t *testing.T) {
	t.Parallel()
	fields, keys := map[string]bool{}, map[string]bool{}
	for _, s := range settings() {
		require.True(t, strings.HasPrefix(s.Variable, prefix), s.Field)
		require.Equal(t, strings.ToLower(strings.TrimPrefix(s.Variable, prefix)), s.Key)
		require.NotEmpty(t, s.Help, s.Field)
		require.False(t, keys[s.Key], "two settings have the key %s", s.Key)
		fields[s.Field], keys[s.Key] = true, true
		for _, by := range s.By {
			require.Contains(t, programs, by.Program, s.Field)
		}
		for _, p := range s.In {
			require.Contains(t, programs, Program(p), s.Field)
		}
		if s.Range != "" {
			require.Contains(t, s.Range, "..", s.Field)
		}
	}
	require.NotEmpty(t, fields)
	for _, s := range settings() {
		require.False(t, s.InFile && keys[s.fileName().Key], "a setting is called like the file of %s", s.Key)
	}
}

// lineOf is the text of a setting in Help, in one line.
func lineOf(help string, s setting) string {
	_, text, found := strings.Cut(help, "\n  "+s.Variable+" ")
	if !found {
		return ""
	}
	text, _, _ = strings.Cut(text, "\n  PAIDUI_")
	return strings.Join(strings.Fields(text), " ")
}

func TestHelpNamesTheSettingsOfItsProgram(t *testing.T) {
	t.Parallel()
	for _, p := range []Program{API, Worker, Scheduler, Local, Migrate} {
		help := schemaWith(nil).Help(p)
		for line := range strings.SplitSeq(help, "\n") {
			require.LessOrEqual(t, utf8.RuneCountInString(line), helpWidth, line)
		}
		for _, s := range settings() {
			text := lineOf(help, s)
			if !s.usedBy(p) {
				require.Empty(t, text)
				continue
			}
			require.True(t, strings.HasPrefix(text, s.Help), "%s: %q", s.Variable, text)
			if value := s.defaultFor(p); value != "" {
				require.Contains(t, text, "["+value+"]")
			}
			if s.InFile {
				require.Contains(t, text, s.Variable+"_FILE")
			}
		}
	}
	used := func(p Program) int { return strings.Count(schemaWith(nil).Help(p), "\n  PAIDUI_") }
	require.Equal(t, len(settings()), used(Local))
	require.Less(t, used(Scheduler), used(Worker))
	require.Contains(t, lineOf(schemaWith(nil).Help(Local), byVariable(settings(), "PAIDUI_BROKER_URL")), "[its own]")
}
