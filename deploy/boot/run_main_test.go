package boot

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/require"
)

// childMode is the variable that turns the test binary into a program that is run by Execute.
const childMode = "PROCESS_TEST_CHILD"

// child is that program.
func child(mode string) {
	cmd := NewCommand("child", "A program to be tested.", "  THE_TABLE {{.}} of settings\n")
	cmd.Flags().Int("number", 0, "a number")
	cmd.AddCommand(&cobra.Command{Use: "sub", RunE: func(*cobra.Command, []string) error { return errors.New("from sub") }})
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		ctx := cmd.Context()
		switch mode {
		case "fail":
			return errors.Join(errors.New("first mistake"), fmt.Errorf("second: %w", context.Canceled))
		case "canceled by itself":
			return context.Canceled
		case "own status":
			return fmt.Errorf("not there: %w", statusError(3))
		case "status alone":
			return statusError(6)
		}
		fmt.Println("ready")
		<-ctx.Done()
		fmt.Println("draining:", context.Cause(ctx))
		switch mode {
		case "stuck":
			time.Sleep(time.Minute)
		case "canceled":
			return fmt.Errorf("interrupted: %w", ctx.Err())
		case "cause":
			return errors.Join(context.Cause(ctx), ctx.Err())
		case "lost":
			return errors.Join(ctx.Err(), errors.New("one task was lost"))
		}
		return nil
	}
	Execute(cmd)
}

// statusError is an error that is nothing but an exit code.
type statusError int

func (statusError) Error() string     { return "" }
func (e statusError) ExitStatus() int { return int(e) }

// process is a started child.
type process struct {
	cmd    *exec.Cmd
	stdout *bufio.Scanner
	stderr *bytes.Buffer
}

func start(t *testing.T, mode string, args ...string) *process {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	t.Cleanup(cancel)
	p := &process{cmd: exec.CommandContext(ctx, os.Args[0], args...), stderr: new(bytes.Buffer)}
	p.cmd.Env = append(os.Environ(), childMode+"="+mode)
	p.cmd.Stderr = p.stderr
	out, err := p.cmd.StdoutPipe()
	require.NoError(t, err)
	p.stdout = bufio.NewScanner(out)
	require.NoError(t, p.cmd.Start())
	return p
}

// line is the next line of standard output.
func (p *process) line(t *testing.T) string {
	t.Helper()
	require.True(t, p.stdout.Scan(), "no more output: %s", p.stderr)
	return p.stdout.Text()
}

// end waits for the exit code and returns it with the rest of standard output.
func (p *process) end(t *testing.T) (code int, stdout string) {
	t.Helper()
	var rest strings.Builder
	for p.stdout.Scan() {
		rest.WriteString(p.stdout.Text() + "\n")
	}
	err := p.cmd.Wait()
	var exit *exec.ExitError
	if err != nil {
		require.ErrorAs(t, err, &exit)
	}
	return p.cmd.ProcessState.ExitCode(), rest.String()
}

func TestFirstSignalDrains(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		mode   string
		signal syscall.Signal
		cause  string
		code   int
		stderr string
	}{
		{"clean", syscall.SIGTERM, "received SIGTERM", 0, ""},
		{"clean", syscall.SIGINT, "received SIGINT", 0, ""},
		{"canceled", syscall.SIGTERM, "received SIGTERM", 0, ""},
		{"cause", syscall.SIGINT, "received SIGINT", 0, ""},
		{"lost", syscall.SIGTERM, "received SIGTERM", 1, "child: context canceled\nchild: one task was lost\n"},
	} {
		t.Run(c.mode+" "+c.signal.String(), func(t *testing.T) {
			t.Parallel()
			p := start(t, c.mode)
			require.Equal(t, "ready", p.line(t))
			require.NoError(t, p.cmd.Process.Signal(c.signal))
			require.Equal(t, "draining: "+c.cause, p.line(t))
			code, _ := p.end(t)
			require.Equal(t, c.code, code)
			require.Equal(t, c.stderr, p.stderr.String())
		})
	}
}

func TestSecondSignalStopsAtOnce(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		first, second syscall.Signal
		code          int
	}{
		{syscall.SIGTERM, syscall.SIGTERM, 143},
		{syscall.SIGTERM, syscall.SIGINT, 130},
	} {
		t.Run(c.second.String(), func(t *testing.T) {
			t.Parallel()
			p := start(t, "stuck")
			require.Equal(t, "ready", p.line(t))
			require.NoError(t, p.cmd.Process.Signal(c.first))
			require.Contains(t, p.line(t), "draining")
			began := time.Now()
			require.NoError(t, p.cmd.Process.Signal(c.second))
			code, _ := p.end(t)
			require.Equal(t, c.code, code)
			require.Less(t, time.Since(began), 10*time.Second)
			require.Contains(t, p.stderr.String(), "stopped without finishing")
		})
	}
}

func TestErrors(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, mode string
		args       []string
		stderr     string
	}{
		{"one line for each mistake", "fail", nil, "child: first mistake\nchild: second: context canceled\n"},
		{"canceled without a signal", "canceled by itself", nil, "child: context canceled\n"},
		{"unknown flag", "clean", []string{"--nope"}, "child: unknown flag: --nope; see child --help\n"},
		{"wrong value", "clean", []string{"--number", "x"},
			"child: invalid argument \"x\" for \"--number\" flag: strconv.ParseInt: parsing \"x\": invalid syntax; see child --help\n"},
		{"argument", "clean", []string{"nope"}, "child: unknown command \"nope\" for \"child\"\n"},
		{"subcommand", "clean", []string{"sub"}, "child: from sub\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p := start(t, c.mode, c.args...)
			code, stdout := p.end(t)
			require.Equal(t, 1, code)
			require.Equal(t, c.stderr, p.stderr.String())
			require.Empty(t, stdout)
		})
	}
}

func TestErrorsWithAnExitCode(t *testing.T) {
	t.Parallel()
	for mode, want := range map[string]struct {
		code   int
		stderr string
	}{
		"own status":   {3, "child: not there:\n"},
		"status alone": {6, ""},
	} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			p := start(t, mode)
			code, _ := p.end(t)
			require.Equal(t, want.code, code)
			require.Equal(t, want.stderr, p.stderr.String())
		})
	}
}

func TestHelpAndVersion(t *testing.T) {
	t.Parallel()
	p := start(t, "clean", "--version")
	code, stdout := p.end(t)
	require.Zero(t, code)
	require.Equal(t, "child "+Version()+"\n", stdout)

	for _, args := range [][]string{{"--help"}, {"sub", "--help"}} {
		p = start(t, "clean", args...)
		code, stdout = p.end(t)
		require.Zero(t, code)
		require.Contains(t, stdout, "Usage:\n  child")
		require.True(t, strings.HasSuffix(stdout, "\n  THE_TABLE {{.}} of settings\n"), stdout)
		require.NotContains(t, stdout, "completion")
	}
}

func TestOnlyCanceled(t *testing.T) {
	t.Parallel()
	other := errors.New("other")
	stopped := &SignalError{Signal: syscall.SIGTERM}
	for _, c := range []struct {
		err  error
		want bool
	}{
		{context.Canceled, true},
		{stopped, true},
		{fmt.Errorf("a: %w", fmt.Errorf("b: %w", stopped)), true},
		{errors.Join(context.Canceled, stopped), true},
		{errors.Join(context.Canceled, other), false},
		{fmt.Errorf("%w after %w", other, context.Canceled), false},
		{context.DeadlineExceeded, false},
		{other, false},
	} {
		require.Equal(t, c.want, onlyCanceled(c.err), "%v", c.err)
	}
}
