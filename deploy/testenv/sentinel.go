package testenv

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
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

// AwaitReplica returns when the replica has all that the server has now.
func AwaitReplica(t testing.TB, of, replica *RedisServer) {
	t.Helper()
	number := func(s *RedisServer, name string) int64 {
		n, err := strconv.ParseInt(replication(t, s)[name], 10, 64)
		if err != nil {
			t.Fatalf("%s does not tell its %s: %v", s.Addr, name, err)
		}
		return n
	}
	all := number(of, "master_repl_offset")
	for end := time.Now().Add(60 * time.Second); number(replica, "slave_repl_offset") < all; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("the replica %s is behind %s", replica.Addr, of.Addr)
		}
	}
}

// replication is what the server tells of it.
func replication(t testing.TB, s *RedisServer) map[string]string {
	t.Helper()
	client := redis.NewClient(&redis.Options{Addr: s.Addr})
	defer func() { _ = client.Close() }()
	text, err := client.Info(context.WithoutCancel(t.Context()), "replication").Result()
	if err != nil {
		t.Fatal(err)
	}
	told := make(map[string]string)
	for line := range strings.Lines(text) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		told[name] = value
	}
	return told
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
