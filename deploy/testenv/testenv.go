// Package testenv gives tests what several packages need: waiting, a log to read, and real servers: a private redis-server for each test that asks, and one private
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
	"os"
	"os/exec"
	"path/filepath"
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
