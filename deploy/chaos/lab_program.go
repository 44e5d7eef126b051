package main

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/paidui/paidui/deploy/testenv"
)

// program is one of the built programs, started again whenever it ends, as an orchestrator does.
type program struct {
	name         string
	url          string // of the API, "" for others
	admin        string
	logFile      string
	redis, mysql *testenv.Proxy // its ways to the stores

	path string
	env  []string
	quit chan struct{}
	done sync.WaitGroup

	mu      sync.Mutex
	process *testenv.Process
	hold    time.Time // not to be started before
	exits   []exit
}

// exit is an end that nobody asked for, or that was not clean.
type exit struct {
	At     time.Time
	Status string
}

// startProgram starts a program of the folder bin. Its ways to the stores are proxies of its own.
func startProgram(name, bin, dir string, env []string, redis, mysql *testenv.Proxy) (*program, error) {
	role := strings.TrimRight(name, "0123456789")
	p := &program{
		name: name, path: filepath.Join(bin, role), redis: redis, mysql: mysql,
		logFile: filepath.Join(dir, name+".log"), quit: make(chan struct{}),
	}
	if _, err := os.Stat(p.path); err != nil {
		return nil, err
	}
	admin, err := freeAddr()
	if err != nil {
		return nil, err
	}
	p.admin = "http://" + admin
	p.env = append(withoutSettings(os.Environ()), env...)
	p.env = append(p.env, "PAIDUI_ADMIN_ADDR="+admin)
	switch role {
	case "api":
		addr, err := freeAddr()
		if err != nil {
			return nil, err
		}
		p.url = "http://" + addr
		p.env = append(p.env, "PAIDUI_HTTP_ADDR="+addr)
	case "worker":
		p.env = append(p.env, "PAIDUI_WORKER_NAME="+name)
	}
	p.done.Go(p.supervise)
	return p, nil
}

func freeAddr() (string, error) {
	port, err := testenv.FindPort()
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), err
}

// withoutSettings drops what would change the programs.
func withoutSettings(environ []string) (kept []string) {
	for _, e := range environ {
		if !strings.HasPrefix(e, "PAIDUI_") {
			kept = append(kept, e)
		}
	}
	return kept
}

// restartDelay is how long an orchestrator takes to start again what has ended.
const restartDelay = time.Second

func (p *program) supervise() {
	for {
		process, err := testenv.StartProcess(&exec.Cmd{Path: p.path, Args: []string{p.path}, Env: p.env}, p.logFile)
		if err != nil {
			p.note(fmt.Sprintf("does not start: %v", err))
		} else {
			p.mu.Lock()
			p.process = process
			p.mu.Unlock()
			select {
			case <-p.quit:
				process.Signal(syscall.SIGCONT)
				process.Stop(syscall.SIGKILL, time.Minute)
				return
			case <-process.Done():
			}
			if err := process.Exit(); !killed(err) && err != nil {
				p.note(err.Error())
			}
		}
		p.mu.Lock()
		wait := max(time.Until(p.hold), restartDelay)
		p.mu.Unlock()
		select {
		case <-p.quit:
			return
		case <-time.After(wait):
		}
	}
}

func (p *program) note(status string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.exits = append(p.exits, exit{time.Now(), status})
}

// killed tells an end by SIGKILL.
func killed(err error) bool {
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		return false
	}
	status, ok := exit.Sys().(syscall.WaitStatus)
	return ok && status.Signaled() && status.Signal() == syscall.SIGKILL
}

// signal sends a signal to the process that runs now, if any. It is not started again for so long if the signal ends it.
func (p *program) signal(s syscall.Signal, away time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.hold = time.Now().Add(away)
	if p.process != nil {
		p.process.Signal(s)
	}
}

// ready asks whether the program takes work.
func (p *program) ready() error {
	client := http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Get(p.admin + "/readyz")
	if err != nil {
		return fmt.Errorf("%s: %w", p.name, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: /readyz answers %s", p.name, resp.Status)
	}
	return nil
}

// stop ends the program for good.
func (p *program) stop() {
	close(p.quit)
	p.done.Wait()
}
