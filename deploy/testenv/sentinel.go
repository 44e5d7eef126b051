package testenv

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// RedisReplica starts a replica of the server for this test, and returns it once it holds what the server holds.
func RedisReplica(t testing.TB, of *RedisServer) *RedisServer {
	t.Helper()
	host, port, _ := strings.Cut(of.Addr, ":")
	awaitReply(t, of.Addr, "CONFIG SET repl-diskless-sync-delay 0", "OK") // else it waits five seconds for more replicas
	s := Redis(t, WithArgs("--replicaof", host, port))
	awaitReply(t, s.Addr, "INFO replication", "master_link_status:up")
	return s
}

// RedisSentinel starts a sentinel for this test that watches the server, which has so many replicas, and returns its URL.
func RedisSentinel(t testing.TB, server *RedisServer, replicas int) string {
	t.Helper()
	path, err := lookPath("redis-server", "redis-server")
	if err != nil {
		t.Fatal(err)
	}
	const name = "paidui"
	dir, port := t.TempDir(), FreePort(t)
	config := filepath.Join(dir, "sentinel.conf")
	text := fmt.Sprintf("bind 127.0.0.1\nport %d\ndir %s\nsentinel monitor %s %s 1\n",
		port, dir, name, strings.ReplaceAll(server.Addr, ":", " "))
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	p, err := StartProcess(exec.Command(path, config, "--sentinel"), filepath.Join(dir, "sentinel.log"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Stop(syscall.SIGKILL, 10*time.Second) })
	addr := fmt.Sprintf("127.0.0.1:%d", port)
	awaitReply(t, addr, "INFO sentinel", fmt.Sprintf("slaves=%d", replicas))
	return "redis+sentinel://" + addr + "/" + name
}

// awaitReply asks the server until its answer holds the words.
func awaitReply(t testing.TB, addr, command, want string) {
	t.Helper()
	ask := func() string {
		conn, err := net.DialTimeout("tcp", addr, 5*time.Second)
		if err != nil {
			return err.Error()
		}
		defer conn.Close()
		if err := conn.SetDeadline(time.Now().Add(time.Second)); err != nil {
			return err.Error()
		}
		if _, err := fmt.Fprintf(conn, "%s\r\nQUIT\r\n", command); err != nil {
			return err.Error()
		}
		var all strings.Builder
		for lines := bufio.NewScanner(conn); lines.Scan(); {
			all.WriteString(lines.Text() + "\n")
		}
		return all.String()
	}
	for end := time.Now().Add(60 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		answer := ask()
		if strings.Contains(answer, want) {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%s answers %s without %q: %s", addr, command, want, answer)
		}
	}
}
