package format

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/deploy/testenv"
)

// scripts are the files of the folder lua, but for what they include.
func scripts(t *testing.T) map[string]string {
	t.Helper()
	all := make(map[string]string)
	require.NoError(t, fs.WalkDir(files, "lua", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || strings.HasPrefix(name, "lua/lib/") {
			return err
		}
		text, err := files.ReadFile(name)
		all[strings.TrimPrefix(name, "lua/")] = string(text)
		return err
	}))
	require.Greater(t, len(all), 20)
	return all
}

// TestScriptsAreUsed: a file that nobody loads is left over.
func TestScriptsAreUsed(t *testing.T) {
	t.Parallel()
	var code strings.Builder
	for _, folder := range []string{"../..", "../../fetch"} {
		names, err := filepath.Glob(filepath.Join(folder, "*.go"))
		require.NoError(t, err)
		require.NotEmpty(t, names)
		for _, name := range names {
			text, err := os.ReadFile(name)
			require.NoError(t, err)
			code.Write(text)
		}
	}
	for name := range scripts(t) {
		require.Contains(t, code.String(), `"`+name+`"`)
	}
}

func TestScriptsCompile(t *testing.T) {
	t.Parallel()
	rdb := redis.NewClient(&redis.Options{Addr: testenv.Redis(t).Addr})
	t.Cleanup(func() { require.NoError(t, rdb.Close()) })
	gate := fstest.MapFS{"open.lua": {Data: []byte("function gate(ARGV) return true end")}}
	for name := range scripts(t) {
		script := ScriptWithGate(name, gate, "open.lua") // which only those of a gate include
		require.NoError(t, script.Load(t.Context(), rdb).Err(), name)
	}
}

// TestScriptsKnowTheFormat: what files spell out is what Go calls so.
func TestScriptsKnowTheFormat(t *testing.T) {
	t.Parallel()
	for file, text := range map[string]string{
		"publish": "'" + EventsChannel + "'",
		"enqueue": "'" + KeyPrefix + "' .. queue .. '" + TaskInfix + "'",
		"revoked": "'" + RevokedPrefix + "'",
	} {
		lua, err := files.ReadFile("lua/lib/" + file + ".lua")
		require.NoError(t, err)
		require.Contains(t, string(lua), text, file)
	}
}
