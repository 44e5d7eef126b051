package e2e

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// build compiles the four programs, with the first call in this test process, into a folder that goes with it.
func build(t *testing.T) (dir string) {
	t.Helper()
	b, err := buildOnce()
	require.NoError(t, err)
	return b.dir
}

type binaries struct {
	dir  string
	open io.Closer // for as long as this process lives; its end removes dir
}

var buildOnce = sync.OnceValues(func() (b binaries, err error) {
	if b.dir, err = os.MkdirTemp("", "paidui-e2e-"); err != nil {
		return b, err
	}
	// TestMain does not return, and a process that is killed cleans nothing up.
	remover := exec.Command("sh", "-c", `read -r _; rm -rf "$0"`, b.dir)
	remover.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C is not for it
	if b.open, err = remover.StdinPipe(); err != nil {
		return b, err
	}
	if err := remover.Start(); err != nil {
		return b, errors.Join(err, os.Remove(b.dir))
	}
	race := fmt.Sprintf("-race=%t", raceEnabled)
	for output, packages := range map[string][]string{
		"":       {"./api", "./worker", "./scheduler"},
		"paidui": {"./deploy/local"},
	} {
		// A folder takes each package's program under the package's name.
		output = b.dir + string(filepath.Separator) + output
		cmd := exec.Command("go", append([]string{"build", race, "-o", output}, packages...)...)
		cmd.Dir = filepath.Join("..", "..")
		if out, err := cmd.CombinedOutput(); err != nil {
			return b, fmt.Errorf("%v: %w\n%s", cmd.Args, err, out)
		}
	}
	return b, nil
})
