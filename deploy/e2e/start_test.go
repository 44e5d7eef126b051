package e2e

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/deploy/testenv"
)

// proxy forwards an address to a server while it is open, so that the server can seem to be away.
type proxy struct {
	addr, target string

	mu    sync.Mutex
	ln    net.Listener
	conns []net.Conn
	done  sync.WaitGroup
}

func newProxy(t *testing.T, target string) *proxy {
	t.Helper()
	p := &proxy{addr: fmt.Sprintf("127.0.0.1:%d", testenv.FreePort(t)), target: target}
	t.Cleanup(p.close)
	return p
}

func (p *proxy) open(t *testing.T) {
	t.Helper()
	ln, err := net.Listen("tcp", p.addr)
	require.NoError(t, err)
	p.ln = ln
	p.done.Go(func() {
		for {
			client, err := ln.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("tcp", p.target)
			if err != nil {
				_ = client.Close()
				continue
			}
			p.mu.Lock()
			p.conns = append(p.conns, client, server)
			p.mu.Unlock()
			p.done.Go(func() { pump(client, server) })
			p.done.Go(func() { pump(server, client) })
		}
	})
}

// pump copies until either side ends, and ends both.
func pump(to, from net.Conn) {
	_, _ = io.Copy(to, from)
	_ = to.Close()
	_ = from.Close()
}

func (p *proxy) close() {
	if p.ln == nil {
		return
	}
	_ = p.ln.Close()
	p.mu.Lock()
	for _, c := range p.conns {
		_ = c.Close()
	}
	p.conns = nil
	p.mu.Unlock()
	p.done.Wait()
}

// awaitStatus asks until the answer has the status.
func awaitStatus(t *testing.T, url string, status int) {
	t.Helper()
	last := "no answer"
	defer func() {
		if t.Failed() {
			t.Logf("%s: %s", url, last)
		}
	}()
	require.Eventually(t, func() bool {
		resp, err := http.Get(url)
		if err != nil {
			last = err.Error()
			return false
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		last = fmt.Sprintf("%s %s %v", resp.Status, body, err)
		return resp.StatusCode == status
	}, time.Minute, 50*time.Millisecond, "%s does not answer %d", url, status)
}

// TestProgramsWaitForTheirServers starts the programs before Redis and MySQL are up, and takes each away once more
// while they run.
func TestProgramsWaitForTheirServers(t *testing.T) {
	bin := build(t)
	redis := testenv.Redis(t, testenv.WithArgs("--appendonly", "yes"))
	redis.Stop()
	databaseURL := testenv.MySQL(t)
	u, err := url.Parse(databaseURL)
	require.NoError(t, err)
	mysql := newProxy(t, u.Host)
	u.Host = mysql.addr
	env := []string{
		"PAIDUI_BROKER_URL=" + redis.URL(1),
		"PAIDUI_CACHE_URL=" + redis.URL(2),
		"PAIDUI_DATABASE_URL=" + u.String(),
		"PAIDUI_JWT_SECRET=" + jwtSecret,
		"PAIDUI_OPERATOR_KEY=" + operatorKey,
	}
	api := start(t, filepath.Join(bin, "api"), "api", env)
	worker := start(t, filepath.Join(bin, "worker"), "worker", env)
	scheduler := start(t, filepath.Join(bin, "scheduler"), "scheduler", env)
	all := []*program{api, worker, scheduler}
	health := func(args ...string) (int, string) {
		addr := "PAIDUI_ADMIN_ADDR=" + strings.TrimPrefix(worker.admin, "http://")
		return run(t, filepath.Join(bin, "worker"), append([]string{addr}, env...), append([]string{"health"}, args...)...)
	}

	for _, p := range all {
		awaitStatus(t, p.admin+"/healthz", http.StatusOK)
		awaitStatus(t, p.admin+"/readyz", http.StatusServiceUnavailable)
	}
	_, err = call(t.Context(), http.MethodGet, api.url+"/v1/banners", "", nil)
	require.ErrorIs(t, err, syscall.ECONNREFUSED, "a balancer goes elsewhere")
	code, out := health()
	require.Zero(t, code, out)
	code, out = health("--ready")
	require.Equal(t, 1, code, out)
	require.Contains(t, out, "starting")

	redis.Start()
	mysql.open(t)
	for _, p := range all {
		p.awaitReady(t)
	}
	code, out = health("--ready")
	require.Zero(t, code, out)
	runTask(t, api, "before")

	redis.Stop()
	for _, p := range all {
		awaitStatus(t, p.admin+"/readyz", http.StatusServiceUnavailable)
		awaitStatus(t, p.admin+"/healthz", http.StatusOK)
	}
	code, out = health("--ready")
	require.Equal(t, 1, code, out)
	require.Contains(t, out, "broker")
	redis.Start()
	for _, p := range all {
		p.awaitReady(t)
	}
	runTask(t, api, "after-redis")

	mysql.close()
	for _, p := range []*program{api, worker} {
		awaitStatus(t, p.admin+"/readyz", http.StatusServiceUnavailable)
	}
	scheduler.awaitReady(t) // it has no database
	mysql.open(t)
	for _, p := range all {
		p.awaitReady(t)
	}
	runTask(t, api, "after-mysql")
	for _, p := range all {
		p.terminate(t)
	}
}

// runTask enqueues a task and sees its result.
func runTask(t *testing.T, api *program, id string) {
	t.Helper()
	must(t, http.MethodPost, api.url+"/v1/tasks", operatorKey, map[string]any{
		"task": "demo.add", "args": map[string]any{"n": 10, "m": 20}, "id": id,
	})
	var task struct {
		State  string
		Result int
	}
	must(t, http.MethodGet, api.url+"/v1/tasks/"+id+"?wait=30s", operatorKey, nil).into(t, &task)
	require.Equal(t, "SUCCESS", task.State)
	require.Equal(t, 30, task.Result)
}

// TestMigrateAndSeed runs the commands three at a time on servers that have no database yet.
func TestMigrateAndSeed(t *testing.T) {
	api := filepath.Join(build(t), "api")
	atOnce := func(database, command string) (outputs []string) {
		t.Helper()
		outputs = make([]string, 3)
		codes := make([]int, len(outputs))
		inParallel(len(outputs), func(i int) {
			codes[i], outputs[i] = run(t, api, []string{"PAIDUI_DATABASE_URL=" + database}, command, "-l", "error")
		})
		require.Equal(t, make([]int, len(outputs)), codes, "%q", outputs)
		return outputs
	}
	const (
		migrated = "the database is up to date\n"
		filled   = "the database is filled\n"
		full     = "the database holds data already: nothing was changed\n"
	)
	database := testenv.MySQL(t) + "_missing"
	require.Equal(t, []string{migrated, migrated, migrated}, atOnce(database, "migrate"))
	require.Equal(t, []string{migrated, migrated, migrated}, atOnce(database, "migrate"))
	require.ElementsMatch(t, []string{filled, full, full}, atOnce(database, "seed"))
	require.ElementsMatch(t, []string{filled, full, full}, atOnce(testenv.MySQL(t)+"_missing", "seed"))
}
