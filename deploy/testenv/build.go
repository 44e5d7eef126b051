package testenv

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
)

// Binaries are the four programs, built for the life of this process.
type Binaries struct {
	Dir string // has api, worker, scheduler and paidui

	open io.Closer // for as long as this process lives; its end removes Dir
}

// Close removes the programs. Who keeps no Binaries until then may lose them earlier.
func (b Binaries) Close() error { return b.open.Close() }

// Build compiles the programs of the module, whose folder is given, into a folder that goes with Close, or with this
// process, however that ends.
func Build(module string, race bool) (b Binaries, err error) {
	if b.Dir, err = os.MkdirTemp("", "paidui-bin-"); err != nil {
		return b, err
	}
	// TestMain does not return, and a process that is killed cleans nothing up.
	remover := exec.Command("sh", "-c", `read -r _; rm -rf "$0"`, b.Dir)
	remover.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C is not for it
	if b.open, err = remover.StdinPipe(); err != nil {
		return b, err
	}
	if err := remover.Start(); err != nil {
		return b, errors.Join(err, os.Remove(b.Dir))
	}
	for output, packages := range map[string][]string{
		"":       {"./api", "./worker", "./scheduler"},
		"paidui": {"./deploy/local"},
	} {
		// A folder takes each package's program under the package's name.
		output = b.Dir + string(filepath.Separator) + output
		flags := []string{"build", "-ldflags=-s -w", "-o", output} // half the linking is for debuggers
		if race {                                                  // as deploy/test.sh compiles, for what is compiled then is used here
			flags = append(flags, "-race")
			for _, computes := range []string{"modernc.org/sqlite/lib", "github.com/yuin/gopher-lua/...", "go.yaml.in/yaml/v3"} {
				flags = append(flags, "-gcflags="+computes+"=-race=false")
			}
		}
		cmd := exec.Command("go", append(flags, packages...)...)
		cmd.Dir = module
		if out, err := cmd.CombinedOutput(); err != nil {
			return b, fmt.Errorf("%v: %w\n%s", cmd.Args, err, out)
		}
	}
	return b, nil
}
