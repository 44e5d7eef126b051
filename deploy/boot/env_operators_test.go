package boot

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/api/server"
	"github.com/paidui/paidui/deploy/config"
	"github.com/paidui/paidui/deploy/testenv"
)

const (
	firstKey  = "first-key-of-alice-0123"
	secondKey = "second-key-of-alice-0123"
	wallsKey  = "key-of-the-wall-0123"
)

// operatorsOf opens the keys of a configuration; the file of keys is followed until the test ends.
func operatorsOf(t *testing.T, cfg config.Config, log *testenv.LogBuffer) (*Env, error) {
	t.Helper()
	e := &Env{Config: cfg, Logger: slog.New(slog.NewTextHandler(log, nil))}
	e.group = NewGroup(e.Logger, time.Minute)
	if err := e.openOperators(); err != nil {
		return nil, err
	}
	for _, p := range e.group.parts {
		ctx, stop := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() { done <- p.run(ctx) }()
		t.Cleanup(func() {
			stop()
			require.NoError(t, <-done)
		})
	}
	return e, nil
}

func TestKeysOfAFileAreRotatedWhileItRuns(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "operators")
	write := func(text string) {
		t.Helper()
		require.NoError(t, os.WriteFile(file+".new", []byte(text), 0o400))
		require.NoError(t, os.Rename(file+".new", file))
	}
	write("# keys\nalice=operator:" + firstKey + "\n")
	log := &testenv.LogBuffer{}
	e, err := operatorsOf(t, config.Config{OperatorKey: "the-key-of-the-start", OperatorKeysFile: file}, log)
	require.NoError(t, err)
	works := func(token string) bool {
		_, _, ok := e.operators.Match(token)
		return ok
	}
	await := func(f func() bool) {
		t.Helper()
		require.Eventually(t, f, time.Minute, 10*time.Millisecond, "%s", log)
	}
	require.True(t, works(firstKey))
	require.True(t, works("the-key-of-the-start"))

	write("alice=operator:" + firstKey + "\nalice=operator:" + secondKey + "\nwall=observer:" + wallsKey + "\n")
	await(func() bool { return works(secondKey) && works(wallsKey) })
	require.True(t, works(firstKey), "old and new at the same time")

	write("alice=operator:" + secondKey + "\n# a mistake\nwall=boss:" + wallsKey + "\n")
	await(func() bool {
		return strings.Contains(log.String(), "line 3: its role is neither operator nor observer")
	})
	require.True(t, works(firstKey) && works(secondKey) && works(wallsKey), "the last good keys hold")
	require.True(t, strings.Contains(log.String(), "PAIDUI_OPERATOR_KEYS_FILE"))

	write("eve=observer:the-key-of-the-start")
	await(func() bool { return strings.Contains(log.String(), "line 1: its key is that of the operator operator") })
	require.NoError(t, os.Remove(file))
	await(func() bool { return strings.Contains(log.String(), "no such file or directory") })
	require.True(t, works(firstKey))

	write("alice=operator:" + secondKey + "\n")
	await(func() bool { return !works(firstKey) && !works(wallsKey) })
	require.True(t, works(secondKey) && works("the-key-of-the-start"))
	for _, key := range []string{firstKey, secondKey, wallsKey, "the-key-of-the-start"} {
		require.False(t, strings.Contains(log.String(), key), "no key is logged")
	}
}

func TestKeysThatAreWrongEndTheStart(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	file := filepath.Join(folder, "operators")
	require.NoError(t, os.WriteFile(file, []byte("alice=operator:"+firstKey+"\nbob:"+secondKey), 0o404))
	good := filepath.Join(folder, "good")
	require.NoError(t, os.WriteFile(good, []byte("alice=operator:"+firstKey), 0o404))
	for want, cfg := range map[string]config.Config{
		"PAIDUI_OPERATOR_KEYS: entry 2: it is not name=role:KEY":                         {OperatorKeys: "a=operator:" + firstKey + ",x"},
		"PAIDUI_OPERATOR_KEYS beside PAIDUI_OPERATOR_KEY: entry 1: its key is that of":   {OperatorKey: firstKey, OperatorKeys: "alice=operator:" + firstKey},
		"PAIDUI_OPERATOR_KEYS_FILE: " + file + ": line 2: it is not name=role:KEY":       {OperatorKeysFile: file},
		"PAIDUI_OPERATOR_KEYS_FILE: " + folder + ": it is not a regular file":            {OperatorKeysFile: folder},
		"PAIDUI_OPERATOR_KEYS_FILE: " + file + "-not: no such file":                      {OperatorKeysFile: file + "-not"},
		"PAIDUI_OPERATOR_KEYS_FILE: " + good + ": line 1: its key is that of entry 1, w": {OperatorKeysFile: good, OperatorKeys: "bob=operator:" + firstKey},
	} {
		_, err := operatorsOf(t, cfg, &testenv.LogBuffer{})
		require.ErrorContains(t, err, want)
		require.NotContains(t, err.Error(), firstKey)
		require.NotContains(t, err.Error(), secondKey)
	}
	log := &testenv.LogBuffer{}
	_, err := operatorsOf(t, config.Config{OperatorKeysFile: good}, log)
	require.NoError(t, err)
	require.True(t, strings.Contains(log.String(), "open to every user of the machine"))
}

func TestProfilesAreForNamedOperators(t *testing.T) {
	t.Parallel()
	keys, err := server.NewOperatorKeys(
		server.Key{Name: "alice", Role: server.RoleOperator, Secret: firstKey},
		server.Key{Name: "wall", Role: server.RoleObserver, Secret: wallsKey})
	require.NoError(t, err)
	admin := Admin(AdminOptions{Registry: prometheus.NewRegistry(), OperatorKeys: keys})
	for token, want := range map[string]int{firstKey: http.StatusOK, wallsKey: http.StatusUnauthorized, "": http.StatusUnauthorized} {
		r := httptest.NewRequest(http.MethodGet, "/debug/pprof/cmdline", nil)
		r.Header.Set("Authorization", "Bearer "+token)
		w := httptest.NewRecorder()
		admin.ServeHTTP(w, r)
		require.Equal(t, want, w.Code)
	}
}
