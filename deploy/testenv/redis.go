package testenv

import (
	"bufio"
	"fmt"
	"net"
	"net/url"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// RedisServer is a private redis-server process. Its methods are called by one goroutine, of a test its own; the server
// itself takes any number of clients.
type RedisServer struct {
	Addr string // host:port, the same after a restart

	t        testing.TB // nil outside tests
	path     string
	dir      string
	password string
	extra    []string
	process  *Process
}

// RedisOption changes how a private redis-server runs.
type RedisOption func(*RedisServer)

// WithPassword makes the server ask every client for the password.
func WithPassword(password string) RedisOption {
	return func(s *RedisServer) { s.password = password }
}

// WithArgs appends redis-server arguments ("--appendonly", "yes"); they override the defaults, under which
// nothing is written to disk.
func WithArgs(args ...string) RedisOption {
	return func(s *RedisServer) { s.extra = append(s.extra, args...) }
}

// Redis starts a redis-server for this test and stops it when the test ends.
func Redis(t testing.TB, opts ...RedisOption) *RedisServer {
	t.Helper()
	s, err := StartRedis(t.TempDir(), opts...)
	if err != nil {
		t.Fatal(err)
	}
	s.t = t
	t.Cleanup(s.Kill)
	return s
}

// StartRedis starts a redis-server outside tests, with its files in dir. Stop or Kill ends it.
func StartRedis(dir string, opts ...RedisOption) (*RedisServer, error) {
	path, err := lookPath("redis-server", "redis-server")
	if err != nil {
		return nil, err
	}
	s := &RedisServer{path: path, dir: dir}
	for _, opt := range opts {
		opt(s)
	}
	const tries = 5 // another process may take a free port before the server does
	for range tries {
		port, portErr := FindPort()
		if portErr != nil {
			return nil, portErr
		}
		s.Addr = "127.0.0.1:" + strconv.Itoa(port)
		if err = s.start(); err == nil {
			return s, nil
		}
	}
	return nil, err
}

// RedisURL is Redis(t).URL(0), for tests that need nothing else of the server.
func RedisURL(t testing.TB) string {
	t.Helper()
	return Redis(t).URL(0)
}

// URL is the address of one of the server's databases, 0 to 15, with the password if there is one.
func (s *RedisServer) URL(db int) string {
	u := url.URL{Scheme: "redis", Host: s.Addr, Path: "/" + strconv.Itoa(db)}
	if s.password != "" {
		u.User = url.UserPassword("", s.password)
	}
	return u.String()
}

// Start runs the server of a test again, on the same address and folder; it does nothing when the server is running.
func (s *RedisServer) Start() {
	s.t.Helper()
	if err := s.StartAgain(); err != nil {
		s.t.Fatal(err)
	}
}

// StartAgain is Start outside tests.
func (s *RedisServer) StartAgain() error {
	if s.running() {
		return nil
	}
	return s.start()
}

// Stop shuts the server down in order. Clients then find the address closed until Start.
func (s *RedisServer) Stop() {
	if s.process != nil {
		s.process.Stop(syscall.SIGTERM, 10*time.Second)
	}
}

// Kill ends the server as a crash does.
func (s *RedisServer) Kill() {
	if s.process != nil {
		s.process.Stop(syscall.SIGKILL, 10*time.Second)
	}
}

func (s *RedisServer) running() bool {
	if s.process == nil {
		return false
	}
	select {
	case <-s.process.done:
		return false
	default:
		return true
	}
}

func (s *RedisServer) start() error {
	_, port, _ := strings.Cut(s.Addr, ":")
	args := []string{"--bind", "127.0.0.1", "--port", port, "--dir", s.dir, "--save", "", "--appendonly", "no"}
	if s.password != "" {
		args = append(args, "--requirepass", s.password)
	}
	p, err := StartProcess(exec.Command(s.path, append(args, s.extra...)...), filepath.Join(s.dir, "redis.log"))
	if err != nil {
		return err
	}
	s.process = p
	if err := p.Await(30*time.Second, s.answers); err != nil {
		s.Kill()
		return err
	}
	return nil
}

// answers checks that the server behind the address is this process, and not one that won the port. It speaks
// RESP itself: a go-redis pool reports every refused dial on standard error.
func (s *RedisServer) answers() error {
	const limit = 5 * time.Second
	conn, err := net.DialTimeout("tcp", s.Addr, limit)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(limit)); err != nil {
		return err
	}
	replies := bufio.NewReader(conn)
	if s.password != "" {
		if _, err := fmt.Fprintf(conn, "*2\r\n$4\r\nAUTH\r\n$%d\r\n%s\r\n", len(s.password), s.password); err != nil {
			return err
		}
		reply, err := replies.ReadString('\n')
		if err != nil {
			return err
		}
		if reply != "+OK\r\n" {
			return fmt.Errorf("AUTH answered %q", reply)
		}
	}
	if _, err := fmt.Fprint(conn, "INFO server\r\n"); err != nil {
		return err
	}
	want := fmt.Sprintf("process_id:%d\r\n", s.process.Pid())
	for {
		line, err := replies.ReadString('\n')
		switch {
		case err != nil:
			return err
		case line == want:
			return nil
		case strings.HasPrefix(line, "-"): // -LOADING while the append-only file is read
			return fmt.Errorf("INFO answered %q", line)
		case strings.HasPrefix(line, "process_id:"):
			return fmt.Errorf("%s is served by another process", s.Addr)
		}
	}
}
