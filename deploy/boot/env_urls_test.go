package boot

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/deploy/config"
	"github.com/paidui/paidui/tasks/taskstest"
)

// TestURLsAreCheckedBeforeTheyAreUsed tries what only the stores' own parsers know to be wrong.
func TestURLsAreCheckedBeforeTheyAreUsed(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ variable, url, want string }{
		{"PAIDUI_BROKER_URL", "redis://:hunter2@h/abc", "the database is not a number"},
		{"PAIDUI_BROKER_URL", "redis+sentinel://:hunter2@h", "master's name"},
		{"PAIDUI_BROKER_URL", "redis+cluster://:hunter2@h/3", "no database number"},
		{"PAIDUI_BROKER_URL", "redis://:hunter2@h/0?foo=1", "a parameter is not one of"},
		{"PAIDUI_BROKER_URL", "redis://:hunter2@h:99999/0", "port"},
		{"PAIDUI_DATABASE_URL", "mysql://root:hunter2@h/db?timeout=1s", "only options"},
		{"PAIDUI_DATABASE_URL", "mysql://h/db", "names no user"},
		{"PAIDUI_DATABASE_URL", "sqlite://x?y", "without options"},
	} {
		t.Run(c.url, func(t *testing.T) {
			t.Parallel()
			_, err := sampleApp(t).Load(config.Worker, nil, []string{c.variable + "=" + c.url})
			var invalid *config.ValidationError
			require.ErrorAs(t, err, &invalid)
			require.Len(t, invalid.Mistakes, 1)
			require.Equal(t, c.variable, invalid.Mistakes[0].Variable)
			require.Contains(t, err.Error(), c.want)
			require.NotContains(t, err.Error(), "hunter2")
		})
	}
	for _, p := range []config.Program{config.Worker, config.Scheduler, config.Local, config.Migrate} {
		_, err := sampleApp(t).Load(p, nil, nil)
		require.NoError(t, err, "the defaults of %s", p)
	}
}

// TestPayloadKeysAreCheckedAtStart: every program that uses them says which setting is wrong, and nothing of the keys.
func TestPayloadKeysAreCheckedAtStart(t *testing.T) {
	t.Parallel()
	good := taskstest.Key("k1")
	_, key, _ := strings.Cut(good, ":")
	for text, want := range map[string]string{
		key:                                   "begin with the id of a key",
		"k1:" + key[1:]:                       `"k1" is not in base64`,
		"k1:" + key[4:]:                       `"k1" has 29 bytes instead of 32`,
		good + ",k1:" + key:                   `two keys have the id "k1"`,
		"k 1:" + key:                          "begin with the id of a key",
		"k1:" + strings.Repeat("A", 43) + "=": `"k1" is not random`,
	} {
		for _, p := range []config.Program{config.Worker, config.Scheduler, config.Local} {
			_, err := sampleApp(t).Load(p, nil, []string{keysSetting + "=" + text})
			var invalid *config.ValidationError
			require.ErrorAs(t, err, &invalid, want)
			require.Len(t, invalid.Mistakes, 1)
			require.Equal(t, keysSetting, invalid.Mistakes[0].Variable)
			require.ErrorContains(t, err, want)
			require.NotContains(t, err.Error(), key[8:16])
		}
	}
	file := filepath.Join(t.TempDir(), "keys")
	require.NoError(t, os.WriteFile(file, []byte(good+"\n"), 0o600))
	cfg, err := sampleApp(t).Load(config.Scheduler, nil, []string{keysSetting + "_FILE=" + file})
	require.NoError(t, err)
	require.Equal(t, good, cfg.PayloadKeys.Reveal())
	require.NotContains(t, fmt.Sprintf("%+v", cfg), key)
}

// TestCommandReportsAllMistakesAtOnce runs a real command line: nothing may run when anything is wrong.
func TestCommandReportsAllMistakesAtOnce(t *testing.T) {
	for variable, value := range map[string]string{
		"PAIDUI_BROKER_URL":      "redis://:hunter2@h/abc",
		"PAIDUI_DATABASE_URL":    "mysql://root:hunter2@h/db?timeout=1s",
		"PAIDUI_HTTP_QUEUE_WAIT": "2m",
	} {
		t.Setenv(variable, value)
	}
	cmd := Command(sampleApp(t), config.Worker)
	cmd.SetArgs([]string{"-Q", "a b", "-c", "0"})
	err := cmd.ExecuteContext(t.Context())
	require.Error(t, err)
	lines := strings.Split(err.Error(), "\n")
	require.Len(t, lines, 5, "%v", lines)
	for _, name := range []string{"BROKER_URL", "DATABASE_URL", "HTTP_QUEUE_WAIT", "QUEUES", "CONCURRENCY"} {
		require.Contains(t, err.Error(), "PAIDUI_"+name+" (")
	}
	require.NotContains(t, err.Error(), "hunter2")
}
