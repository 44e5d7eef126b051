package localkey_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/deploy/localkey"
	"github.com/paidui/paidui/deploy/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

func TestAKeyIsForItsUserAlone(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	file := localkey.In(folder)
	_, err := localkey.Read(file)
	require.ErrorIs(t, err, os.ErrNotExist)

	first := localkey.Access{URL: "http://127.0.0.1:8000", Key: "first"}
	removeFirst, err := localkey.Write(file, first)
	require.NoError(t, err)
	info, err := os.Stat(file)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	got, err := localkey.Read(file)
	require.NoError(t, err)
	require.Equal(t, first, got)

	second := localkey.Access{URL: "http://127.0.0.1:8001", Key: "second"}
	removeSecond, err := localkey.Write(file, second)
	require.NoError(t, err)
	require.NoError(t, removeFirst(), "it is another's by now")
	got, err = localkey.Read(file)
	require.NoError(t, err)
	require.Equal(t, second, got)

	require.NoError(t, os.Chmod(file, 0o640))
	_, err = localkey.Read(file)
	require.ErrorContains(t, err, "0640 lets other users in")
	require.NoError(t, os.Chmod(file, 0o600))
	link := filepath.Join(folder, "link")
	require.NoError(t, os.Symlink(file, link))
	_, err = localkey.Read(link)
	require.ErrorContains(t, err, "not a regular file")
	require.NoError(t, removeSecond())
	require.NoError(t, removeSecond(), "twice")
	left, err := os.ReadDir(folder)
	require.NoError(t, err)
	require.Len(t, left, 1, "the link is left, and nothing temporary")

	require.NoError(t, os.WriteFile(file, []byte(`{"url":"x"}`), 0o600))
	_, err = localkey.Read(file)
	require.ErrorContains(t, err, "does not hold an address and a key")
	_, err = localkey.Write(filepath.Join(folder, "no", "folder"), first)
	require.Error(t, err)
}
