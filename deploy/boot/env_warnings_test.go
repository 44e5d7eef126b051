package boot

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/deploy/config"
	"github.com/paidui/paidui/tasks"
	"github.com/paidui/paidui/tasks/taskstest"
)

func TestDoubtfulSettingsAreLogged(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "broker")
	require.NoError(t, os.WriteFile(file, []byte("redis://:hunter2@h/1\n"), 0o600))
	require.NoError(t, os.Chmod(file, 0o644))
	cfg, err := sampleApp(t).Load(config.Worker, nil, []string{"PAIDUI_BROKER_URL_FILE=" + file})
	require.NoError(t, err)
	var log bytes.Buffer
	warnOfSettings(t.Context(), slog.New(slog.NewTextHandler(&log, nil)), cfg)
	require.Contains(t, log.String(), "level=WARN")
	require.Contains(t, log.String(), "setting=PAIDUI_BROKER_URL_FILE")
	require.Contains(t, log.String(), "open to every user")
	require.NotContains(t, log.String(), "hunter2")
}

func TestTheStartSaysWhetherTasksAreEncrypted(t *testing.T) {
	t.Parallel()
	cat, err := tasks.NewCatalog(secretTask)
	require.NoError(t, err)
	told := func(keys ...string) string {
		var log bytes.Buffer
		tellOfKeys(t.Context(), slog.New(slog.NewTextHandler(&log, nil)), cat, taskstest.Keys(t, keys...))
		return log.String()
	}
	clear := told()
	require.Contains(t, clear, "level=WARN")
	require.Contains(t, clear, "setting=PAIDUI_PAYLOAD_KEYS tasks=[secret.keep]")
	key := taskstest.Key("k1")
	encrypted := told(key, taskstest.Key("k2"))
	require.Contains(t, encrypted, "level=INFO")
	require.Contains(t, encrypted, `keys="[k1 k2]"`)
	require.NotContains(t, encrypted, key[3:12])
}
