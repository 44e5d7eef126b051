package e2e

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/deploy/testenv"
)

// operator runs commands against a program.
type operator struct {
	t   *testing.T
	bin string
	dir string
	env []string
}

// ctl runs a command line, and returns what it writes and its exit code.
func (o operator) ctl(input string, args ...string) (out, errOut string, status int) {
	o.t.Helper()
	cmd := exec.CommandContext(testenv.Soon(o.t), o.bin, append([]string{"ctl"}, args...)...)
	cmd.Dir, cmd.Stdin = o.dir, strings.NewReader(input)
	cmd.Env = append(os.Environ(), append([]string{"LANG=en_US.UTF-8", "LC_ALL=", "LC_MESSAGES=", noRaceSleep}, o.env...)...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil {
		require.ErrorAs(o.t, err, &exit)
	}
	return stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()
}

// noRaceSleep spares a program that was built with the race detector the second that it sleeps at its end.
const noRaceSleep = "GORACE=atexit_sleep_ms=0"

// ok requires that a command succeeds.
func (o operator) ok(args ...string) string {
	o.t.Helper()
	out, errOut, status := o.ctl("", args...)
	require.Zero(o.t, status, "%v: %s%s", args, out, errOut)
	return out
}

// TestCtl operates the local program by its command line alone, which finds the key that was made at the start.
func TestCtl(t *testing.T) {
	folder := t.TempDir()
	p, _ := startLocal(t, filepath.Join(folder, ".paidui", "paidui.db"), fmt.Sprintf("PAIDUI_HTTP_ADDR=127.0.0.1:%d", testenv.FreePort(t)))
	o := operator{t: t, bin: filepath.Join(build(t), "paidui"), dir: folder, env: []string{"PAIDUI_URL=", "PAIDUI_OPERATOR_KEY="}}

	// A task, as a script does it.
	id := strings.TrimSpace(o.ok("enqueue", "demo.add", `{"n":1,"m":2}`))
	require.Contains(t, o.ok("watch", id), "SUCCESS  3\n")
	require.Contains(t, o.ok("task", id), "result     3\n")
	require.Equal(t, "later\n", o.ok("enqueue", "demo.add", `{"n":3,"m":4}`, "--in", "1h", "--id", "later", "--tag", "e2e"))
	out, errOut, status := o.ctl(`{"n":3,"m":4}`, "enqueue", "demo.add", "-", "--id", "later")
	require.Equal(t, 1, status)
	require.Equal(t, "later\n", out)
	require.NotEmpty(t, errOut)
	_, errOut, status = o.ctl("", "enqueue", "demo.add", `{"n":"x"}`)
	require.Equal(t, 2, status)
	require.Contains(t, errOut, "args.n")

	// Queues: what is queued, pause and resume, purge.
	require.Regexp(t, `(?m)^default +0 +0 +1 `, o.ok("queues"))
	require.Contains(t, o.ok("queues", "pause", "default"), "by operator")
	require.Contains(t, o.ok("queues", "default"), "paused       ")
	require.Equal(t, "waits\n", o.ok("enqueue", "demo.add", `{"n":5,"m":6}`, "--id", "waits"))
	require.Contains(t, o.ok("audit", "--what", "POST /v1/queues/:name/pause", "--subject", "default"), "operator")
	require.Contains(t, o.ok("queues", "resume", "default"), "default: ")
	require.Contains(t, o.ok("watch", "waits"), "SUCCESS  11\n")
	_, errOut, status = o.ctl("", "queues", "purge", "default", "--state", "scheduled")
	require.Equal(t, 2, status)
	require.Contains(t, errOut, "Purge 1 task (1 scheduled) of queue default?")
	require.Equal(t, "purged 1 task (1 scheduled) of queue default\n", o.ok("queues", "purge", "default", "--state", "scheduled", "--yes"))
	_, _, status = o.ctl("", "watch", "later")
	require.Equal(t, 6, status, "it is REVOKED")
	require.Equal(t, "later\n", o.ok("retry", "later"))
	require.Contains(t, o.ok("watch", "later"), "SUCCESS  7\n")

	// Workers.
	var page struct {
		Workers []struct{ ID, Name string }
	}
	require.NoError(t, json.Unmarshal([]byte(o.ok("workers", "--json")), &page))
	require.Len(t, page.Workers, 1)
	worker := page.Workers[0]
	require.Contains(t, o.ok("workers"), worker.Name)
	require.Contains(t, o.ok("workers", "resize", worker.ID, "7"), "7 slots")
	require.Contains(t, o.ok("workers", worker.Name), "7, 0 running")
	require.Contains(t, o.ok("workers", "pause", worker.Name), "paused")
	require.Contains(t, o.ok("workers", "resume", worker.Name), "serving")
	require.Contains(t, o.ok("workers", "queues", worker.Name, "default:2,low"), "queues default:2,low:1")
	require.Contains(t, o.ok("workers", "log-level", worker.Name, "warn"), "it logs from warn on")
	require.Contains(t, o.ok("ping"), worker.Name)
	_, _, status = o.ctl("", "workers", "resize", "nobody", "7")
	require.Equal(t, 3, status)

	// The rest of what there is, and what is not there.
	require.Contains(t, o.ok("schedules"), "queue-check")
	require.Contains(t, o.ok("task-types"), "demo.add")
	require.Contains(t, o.ok("task-types", "demo.add"), `"n"`)
	testenv.Eventually(t, func() bool { return strings.Contains(o.ok("tasks", "--task", "demo.add", "--since", "1h"), "later") }, "the history has it")
	_, _, status = o.ctl("", "task", "nothing-of-this-name")
	require.Equal(t, 3, status)

	// Who may.
	o.env = []string{"PAIDUI_URL=" + p.url, "PAIDUI_OPERATOR_KEY=not-the-key-of-anybody"}
	_, errOut, status = o.ctl("", "queues")
	require.Equal(t, 5, status)
	require.NotContains(t, errOut, "not-the-key")
	o.env = []string{"PAIDUI_URL=" + p.url + "0", "PAIDUI_OPERATOR_KEY="}
	_, _, status = o.ctl("", "queues")
	require.Equal(t, 4, status)

	// Drained, the worker is gone, and the API goes on.
	o.env = []string{"PAIDUI_URL=" + p.url, "PAIDUI_OPERATOR_KEY="}
	require.Contains(t, o.ok("workers", "drain", worker.Name, "--yes", "--wait"), "all have ended\n")
	_, errOut, _ = o.ctl("", "workers")
	require.Contains(t, errOut, "no worker is up")
	p.terminate(t)
	_, errOut, status = o.ctl("", "queues")
	require.Equal(t, 4, status)
	require.Contains(t, errOut, "does not answer")
}

// TestTop runs the screen on a real terminal, and leaves that as it was, however it ends.
func TestTop(t *testing.T) {
	folder := t.TempDir()
	p, _ := startLocal(t, filepath.Join(folder, ".paidui", "paidui.db"), fmt.Sprintf("PAIDUI_HTTP_ADDR=127.0.0.1:%d", testenv.FreePort(t)))
	o := operator{t: t, bin: filepath.Join(build(t), "paidui"), dir: folder, env: []string{"PAIDUI_URL=", "PAIDUI_OPERATOR_KEY="}}
	o.ok("enqueue", "demo.add", `{"n":1,"m":2}`, "--in", "1h")
	for name, leave := range map[string]func(*exec.Cmd, *os.File) error{
		"q":       func(_ *exec.Cmd, keys *os.File) error { _, err := keys.WriteString("q"); return err },
		"ctrl-c":  func(_ *exec.Cmd, keys *os.File) error { _, err := keys.WriteString("\x03"); return err },
		"SIGTERM": func(cmd *exec.Cmd, _ *os.File) error { return cmd.Process.Signal(syscall.SIGTERM) },
	} {
		t.Run(name, func(t *testing.T) {
			ours, programs := testenv.Pty(t, 80, 24)
			before := testenv.PtyModes(t, programs)
			s := readScreen(ours)
			cmd := exec.CommandContext(testenv.Soon(t), o.bin, "top")
			cmd.Dir, cmd.Env = folder, append(os.Environ(), append([]string{"TERM=xterm-256color", noRaceSleep}, o.env...)...)
			cmd.Stdin, cmd.Stdout, cmd.Stderr = programs, programs, programs
			cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
			require.NoError(t, cmd.Start())
			s.shows(t, "default")
			testenv.ResizePty(t, ours, 120, 30)
			_, err := ours.WriteString("2")
			require.NoError(t, err)
			s.shows(t, "serving")
			_, err = ours.WriteString("?")
			require.NoError(t, err)
			s.shows(t, "Any key goes back")
			require.NoError(t, leave(cmd, ours))
			require.NoError(t, cmd.Wait(), "%q", s.text())
			s.shows(t, "\x1b[?1049l")
			text := s.text()
			require.Greater(t, strings.LastIndex(text, "\x1b[?1049l"), strings.LastIndex(text, "\x1b[?1049h"), "the other screen is left")
			require.Greater(t, strings.LastIndex(text, "\x1b[?25h"), strings.LastIndex(text, "\x1b[?25l"), "the cursor is back")
			require.Equal(t, before, testenv.PtyModes(t, programs), "what is typed is seen again")
			require.NoError(t, errors.Join(programs.Close(), ours.Close()))
			<-s.ended
		})
	}
	p.terminate(t)
}

// screen is what a program has written to a terminal.
type screen struct {
	ended   chan struct{}
	mu      sync.Mutex
	written strings.Builder
}

func readScreen(from *os.File) *screen {
	s := &screen{ended: make(chan struct{})}
	go func() {
		defer close(s.ended)
		piece := make([]byte, 4096)
		for {
			n, err := from.Read(piece)
			s.mu.Lock()
			s.written.Write(piece[:n])
			s.mu.Unlock()
			if err != nil {
				return
			}
		}
	}()
	return s
}

func (s *screen) text() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.written.String()
}

func (s *screen) shows(t *testing.T, text string) {
	t.Helper()
	testenv.Eventually(t, func() bool { return strings.Contains(s.text(), text) }, "%s is not shown", text)
}
