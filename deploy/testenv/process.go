package testenv

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// Process is a child that dies with this process. Its methods are safe for concurrent use.
type Process struct {
	cmd     *exec.Cmd
	logFile string
	done    chan struct{} // closed when the child has exited
	exit    error         // what Wait said; read it after done
}

// StartProcess runs cmd with its output in logFile, but for what cmd already sends elsewhere. The goroutine that starts
// the child owns an OS thread until the child is gone, because the kernel sends the parent-death signal when the
// starting *thread* ends.
func StartProcess(cmd *exec.Cmd, logFile string) (*Process, error) {
	out, err := os.OpenFile(logFile, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer out.Close()
	if cmd.Stdout == nil {
		cmd.Stdout = out
	}
	if cmd.Stderr == nil {
		cmd.Stderr = out
	}
	cmd.SysProcAttr = dieWithParent()

	p := &Process{cmd: cmd, logFile: logFile, done: make(chan struct{})}
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err != nil {
			return
		}
		p.exit = cmd.Wait()
		close(p.done)
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	return p, nil
}

// Pid is the child's process id.
func (p *Process) Pid() int { return p.cmd.Process.Pid }

// Done is closed when the child has exited.
func (p *Process) Done() <-chan struct{} { return p.done }

// Exit is how the child ended, nil for status 0. It waits until it has.
func (p *Process) Exit() error {
	<-p.done
	return p.exit
}

// Signal sends the signal; to a child that has ended it does nothing.
func (p *Process) Signal(signal syscall.Signal) {
	_ = p.cmd.Process.Signal(signal) // fails only when the child has ended
}

// Await calls ready until it succeeds, the child exits, or limit has passed.
func (p *Process) Await(limit time.Duration, ready func() error) error {
	deadline := time.After(limit)
	for {
		err := ready()
		if err == nil {
			return nil
		}
		select {
		case <-p.done:
			return fmt.Errorf("%s exited (%v); its last words:\n%s", p.cmd.Path, p.exit, p.lastWords())
		case <-deadline:
			return fmt.Errorf("%s is not ready after %s (%w); its last words:\n%s", p.cmd.Path, limit, err, p.lastWords())
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// Stop sends the signal and waits; a child that has not exited after limit is killed.
func (p *Process) Stop(signal syscall.Signal, limit time.Duration) {
	select {
	case <-p.done:
		return
	default:
	}
	_ = p.cmd.Process.Signal(signal) // fails only when the child has just exited
	select {
	case <-p.done:
	case <-time.After(limit):
		_ = p.cmd.Process.Kill()
		<-p.done
	}
}

func (p *Process) lastWords() string {
	const lines = 15
	text, err := os.ReadFile(p.logFile)
	if err != nil {
		return err.Error()
	}
	all := strings.Split(strings.TrimSpace(string(text)), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}
