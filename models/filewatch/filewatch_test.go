package filewatch

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/deploy/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// follow runs a watch until the test ends, and gives what it reads.
func follow(t *testing.T, f *File) <-chan string {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	over, reads := make(chan struct{}), make(chan string)
	go func() {
		defer close(over)
		f.Run(ctx, func() {
			content, err := os.ReadFile(f.path)
			text := string(content)
			if err != nil {
				text = "gone"
			}
			select {
			case reads <- text:
			case <-ctx.Done():
			}
		})
	}()
	t.Cleanup(func() { cancel(); <-over })
	return reads
}

// requireRead waits until the content is read.
func requireRead(t *testing.T, reads <-chan string, want string) {
	t.Helper()
	for ctx := testenv.Soon(t); ; {
		select {
		case got := <-reads:
			if got == want {
				return
			}
		case <-ctx.Done():
			require.FailNow(t, "not read", want)
		}
	}
}

func newFile(t *testing.T, path string) *File { return New(path, "test", testenv.Quiet()) }

func write(t *testing.T, path, text string) {
	t.Helper()
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
}

func TestAFileIsReplacedAndWrittenAndDeleted(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "file")
	write(t, path, "a")
	f := newFile(t, path)
	f.readEvery = 24 * time.Hour
	reads := follow(t, f)
	requireRead(t, reads, "a")
	write(t, path+".new", "b")
	require.NoError(t, os.Rename(path+".new", path))
	requireRead(t, reads, "b")
	write(t, path, "c, in place")
	requireRead(t, reads, "c, in place")
	require.NoError(t, os.Remove(path))
	requireRead(t, reads, "gone")
	write(t, path, "d")
	requireRead(t, reads, "d")
}

// TestAFolderIsSwapped, as Kubernetes does it with what it mounts: a link through the folder ..data.
func TestAFolderIsSwapped(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for version, text := range map[string]string{"..1": "a", "..2": "b"} {
		require.NoError(t, os.Mkdir(filepath.Join(dir, version), 0o700))
		write(t, filepath.Join(dir, version, "file"), text)
	}
	require.NoError(t, os.Symlink("..1", filepath.Join(dir, "..data")))
	path := filepath.Join(dir, "file")
	require.NoError(t, os.Symlink(filepath.Join("..data", "file"), path))
	f := newFile(t, path)
	f.readEvery, f.statEvery = 24*time.Hour, 24*time.Hour
	reads := follow(t, f)
	requireRead(t, reads, "a")
	require.NoError(t, os.Symlink("..2", filepath.Join(dir, "..data_tmp")))
	require.NoError(t, os.Rename(filepath.Join(dir, "..data_tmp"), filepath.Join(dir, "..data")))
	requireRead(t, reads, "b")
}

// TestAFileBehindALink is rewritten in place, of which its folder tells nothing: its time and size do.
func TestAFileBehindALink(t *testing.T) {
	t.Parallel()
	target, path := filepath.Join(t.TempDir(), "target"), filepath.Join(t.TempDir(), "file")
	write(t, target, "a")
	require.NoError(t, os.Symlink(target, path))
	f := newFile(t, path)
	f.readEvery = 24 * time.Hour
	require.LessOrEqual(t, f.statEvery+f.quietFor, time.Second)
	reads := follow(t, f)
	requireRead(t, reads, "a")
	write(t, target, "longer")
	requireRead(t, reads, "longer")
}

// TestAFileSystemThatTellsNothing: the file is read now and then.
func TestAFileSystemThatTellsNothing(t *testing.T) {
	t.Parallel()
	target, path := filepath.Join(t.TempDir(), "target"), filepath.Join(t.TempDir(), "file")
	write(t, target, "a")
	require.NoError(t, os.Symlink(target, path))
	f := newFile(t, path)
	f.readEvery, f.statEvery = 20*time.Millisecond, 24*time.Hour
	reads := follow(t, f)
	requireRead(t, reads, "a")
	write(t, target, "b")
	requireRead(t, reads, "b")
}

// TestAFolderThatIsNotThere: the watch goes on with what it can do.
func TestAFolderThatIsNotThere(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "later")
	reads := follow(t, newFile(t, filepath.Join(dir, "file")))
	requireRead(t, reads, "gone")
	require.NoError(t, os.Mkdir(dir, 0o700))
	write(t, filepath.Join(dir, "file"), "a")
	requireRead(t, reads, "a")
}
