package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/paidui/paidui/deploy/testenv"
)

// child is this program, started again in one of its roles.
type child struct {
	process *testenv.Process
	url     string // of its HTTP server, "" without one
	admin   string // the URL of its admin server, "" without one
}

const childPatience = 30 * time.Second

// start runs a role with settings as NAME=value beyond the inherited environment. prepare, which may be nil, sees the
// command before it runs.
func (l *lab) start(role string, args, env []string, prepare func(*exec.Cmd) error) (*child, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	l.started++
	name := fmt.Sprintf("%s-%d", role, l.started)
	if l.cpuprofile != "" {
		args = append(args, "--cpuprofile", l.cpuprofile+"."+name)
	}
	cmd := exec.Command(self, append([]string{role}, args...)...)
	cmd.Env = append(withoutSettings(os.Environ()), env...)
	if prepare != nil {
		if err := prepare(cmd); err != nil {
			return nil, err
		}
	}
	p, err := testenv.StartProcess(cmd, l.file(name+".log"))
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	c := &child{process: p}
	l.children = append(l.children, c)
	return c, nil
}

// withoutSettings drops what would change the programs that are measured.
func withoutSettings(environ []string) []string {
	var kept []string
	for _, e := range environ {
		if !strings.HasPrefix(e, "PAIDUI_") {
			kept = append(kept, e)
		}
	}
	return kept
}

func (c *child) stop() { c.process.Stop(syscall.SIGTERM, childPatience) }

// await waits until a GET of the URL is answered with 200.
func (c *child) await(ctx context.Context, url string) error {
	return c.process.Await(childPatience, func() error {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			return fmt.Errorf("%s answers %s", url, resp.Status)
		}
		return nil
	})
}

// memory reads a line such as VmRSS from the kernel's account of the process, in MiB.
func (c *child) memory(line string) (float64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", c.process.Pid()))
	if err != nil {
		return 0, err
	}
	for l := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(l, line+":"); ok {
			kib, err := strconv.ParseFloat(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")), 64)
			return kib / 1024, err
		}
	}
	return 0, fmt.Errorf("the kernel does not tell %s", line)
}

// cpu is the time that the process has had on a CPU, in seconds.
func (c *child) cpu() (float64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", c.process.Pid()))
	if err != nil {
		return 0, err
	}
	const (
		user, system = 11, 12 // fields after the command's name, from 0
		perSecond    = 100    // the kernel's USER_HZ
	)
	_, after, _ := strings.Cut(string(text), ") ")
	fields := strings.Fields(after)
	if len(fields) <= system {
		return 0, fmt.Errorf("the kernel does not tell CPU times: %q", text)
	}
	var ticks float64
	for _, f := range []string{fields[user], fields[system]} {
		n, err := strconv.ParseFloat(f, 64)
		if err != nil {
			return 0, err
		}
		ticks += n
	}
	return ticks / perSecond, nil
}
