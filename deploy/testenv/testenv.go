// Package testenv gives tests real servers: a private redis-server for each test that asks, and one private
// mariadbd for each test process with a fresh database for each test.
//
// The servers listen on 127.0.0.1 only, keep their data in temporary folders and die with the test process,
// however that ends. A package that uses them has
//
//	func TestMain(m *testing.M) { testenv.Main(m) }
//
// The benchmark, which is no test, starts the same servers with StartRedis and StartMariaDB.
package testenv

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"
)

// Main runs the tests, stops the servers that they share, fails the run when a goroutine is left over, and exits.
// Explain every option at the call.
func Main(m *testing.M, opts ...goleak.Option) {
	redis.SetLogger(silence{}) // it speaks of every dial that fails, and tests stop servers on purpose
	code := m.Run()
	stopMariaDB()
	if code == 0 {
		if err := findLeaks(opts); err != nil {
			fmt.Fprintf(os.Stderr, "goroutines left after the tests: %v\n", err)
			code = 1
		}
	}
	os.Exit(code)
}

type silence struct{}

func (silence) Printf(context.Context, string, ...any) {}

// findLeaks gives goroutines some seconds to end by themselves: the dialer of a closed go-redis client, for
// one, notices the end only after its one-second sleep.
func findLeaks(opts []goleak.Option) error {
	deadline := time.Now().Add(5 * time.Second)
	for {
		err := goleak.Find(opts...) // itself waits up to a second
		if err == nil || time.Now().After(deadline) {
			return err
		}
	}
}

// FreePort returns a TCP port of 127.0.0.1 on which nothing listens at the moment.
func FreePort(t testing.TB) int {
	t.Helper()
	port, err := FindPort()
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// FindPort is FreePort outside tests. It gives no port twice, since a program takes its port some time after it was
// given. It stays below the kernel's ephemeral ports (32768 and up on Linux): a port from that range could be taken by
// any outgoing connection while its server restarts, and a client that redials a dead server there may even end up
// connected to itself.
func FindPort() (int, error) {
	const tries = 100
	var last error
	for range tries {
		port := lowPort + int(ports.Add(1)%(highPort-lowPort))
		ln, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err != nil {
			last = err
			continue
		}
		return port, ln.Close()
	}
	return 0, fmt.Errorf("no free port on 127.0.0.1: %w", last)
}

const lowPort, highPort = 10000, 30000

// ports counts up from a random number, so that test programs that run at the same time keep apart.
var ports = func() *atomic.Uint32 {
	n := new(atomic.Uint32)
	n.Store(rand.Uint32N(highPort - lowPort))
	return n
}()

// lookPath finds a program in PATH or where Debian keeps servers, which is not in every user's PATH.
func lookPath(program, debianPackage string) (string, error) {
	if path, err := exec.LookPath(program); err == nil {
		return path, nil
	}
	for _, dir := range []string{"/usr/sbin", "/usr/local/sbin", "/usr/local/bin"} {
		if path, err := exec.LookPath(filepath.Join(dir, program)); err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("%s is not installed: run deploy/install-test-deps.sh, or install the package %s",
		program, debianPackage)
}
