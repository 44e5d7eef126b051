package testenv

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
)

const (
	dataPrefix     = "paidui-mariadb-data-"
	templatePrefix = "paidui-mariadb-template-"
	buildPrefix    = "paidui-mariadb-build-"

	tempFolder = ".tmp" // within the data folder, where a name without the dot would be a database
)

// dataFolder is a copy of the template for one server. It is locked for as long as this process lives, so that
// another process can tell a folder in use from one that a killed test left behind.
type dataFolder struct {
	path     string
	template string
	lock     *os.File
}

// newDataFolder copies the template, which the first test process on a machine makes: making one takes
// seconds, copying it tens of milliseconds.
func newDataFolder(server string) (*dataFolder, error) {
	version, err := exec.Command(server, "--no-defaults", "--version").Output()
	if err != nil {
		return nil, fmt.Errorf("asking %s for its version: %w", server, err)
	}
	// Another server version, other arguments or another user make another template.
	id := sha256.Sum256(fmt.Appendf(version, "%d %q", os.Geteuid(), serverArgs("")))
	template := filepath.Join(os.TempDir(), fmt.Sprintf("%s%x", templatePrefix, id[:6]))

	lock, err := openLocked(template+".lock", os.O_CREATE|os.O_RDWR, syscall.LOCK_EX)
	if err != nil {
		return nil, err
	}
	defer lock.Close()
	sweep()
	if err := ensureTemplate(template, server); err != nil {
		return nil, err
	}
	path, err := os.MkdirTemp("", dataPrefix)
	if err != nil {
		return nil, err
	}
	f := &dataFolder{path: path, template: template}
	if f.lock, err = openLocked(path, os.O_RDONLY, syscall.LOCK_EX); err != nil {
		return nil, err
	}
	if err := os.CopyFS(path, os.DirFS(template)); err != nil {
		f.remove()
		return nil, fmt.Errorf("copying the template of the data folder: %w", err)
	}
	return f, nil
}

// remove leaves nothing behind; what it cannot remove the next test process sweeps away.
func (f *dataFolder) remove() {
	_ = os.RemoveAll(f.path)
	_ = f.lock.Close()
}

// distrust is for a server that does not start: the template may have been damaged, by a cleaner of old
// temporary files for one, so the next test process makes it anew.
func (f *dataFolder) distrust() {
	f.remove()
	_ = os.RemoveAll(f.template)
}

// ensureTemplate makes the template if it is not there. It appears whole or not at all.
func ensureTemplate(template, server string) error {
	_, err := os.Stat(template)
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	build, err := os.MkdirTemp("", buildPrefix)
	if err != nil {
		return err
	}
	defer os.RemoveAll(build)
	lock, err := openLocked(build, os.O_RDONLY, syscall.LOCK_EX)
	if err != nil {
		return err
	}
	defer lock.Close()
	if err := os.Mkdir(filepath.Join(build, tempFolder), 0o700); err != nil {
		return err
	}
	if err := makeData(server, build); err != nil {
		return err
	}
	return os.Rename(build, template)
}

// sweep removes the folders of processes that were killed. The caller holds the template's lock, so no folder is
// between its making and its locking.
func sweep() {
	for _, prefix := range []string{dataPrefix, buildPrefix} {
		left, _ := filepath.Glob(filepath.Join(os.TempDir(), prefix+"*")) // fails on a bad pattern only
		for _, path := range left {
			lock, err := openLocked(path, os.O_RDONLY, syscall.LOCK_EX|syscall.LOCK_NB)
			if err != nil {
				continue // in use, or another user's
			}
			_ = os.RemoveAll(path)
			_ = lock.Close()
		}
	}
}

// openLocked opens a file or a folder, holding its lock until it is closed, which the kernel does for a killed process.
func openLocked(path string, flag, how int) (*os.File, error) {
	f, err := os.OpenFile(path, flag, 0o600)
	if err != nil {
		return nil, err
	}
	for {
		err = syscall.Flock(int(f.Fd()), how)
		if !errors.Is(err, syscall.EINTR) {
			break
		}
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("locking %s: %w", path, err)
	}
	return f, nil
}
