package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/deploy/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

const (
	operatorKey = "end-to-end-operator-key"
	jwtSecret   = "end-to-end-secret-of-at-least-32-bytes"
)

// program is one running process.
type program struct {
	name    string
	admin   string // base URL
	url     string // base URL of the API, "" for other programs
	cmd     *exec.Cmd
	command func() *exec.Cmd
	log     *testenv.LogBuffer
	ended   chan error
}

// start runs a program until the test ends. Its log is shown when the test has failed.
func start(t *testing.T, path, name string, env []string, args ...string) *program {
	t.Helper()
	p := &program{name: name, log: &testenv.LogBuffer{}, ended: make(chan error, 1)}
	adminPort := testenv.FreePort(t)
	p.admin = fmt.Sprintf("http://127.0.0.1:%d", adminPort)
	env = append([]string{ // those of the test, which come later, win
		"PAIDUI_SHUTDOWN_DELAY=0s",
		"PAIDUI_HTTP_QUEUE_WAIT=1m", // the machine may stand still
		fmt.Sprintf("PAIDUI_ADMIN_ADDR=127.0.0.1:%d", adminPort),
	}, env...)
	if strings.HasPrefix(name, "api") {
		port := testenv.FreePort(t)
		p.url = fmt.Sprintf("http://127.0.0.1:%d", port)
		env = append(env, fmt.Sprintf("PAIDUI_HTTP_ADDR=127.0.0.1:%d", port))
	}
	p.command = func() *exec.Cmd {
		cmd := exec.Command(path, args...)
		cmd.Env = append(os.Environ(), env...)
		cmd.Dir = filepath.Join("..", "..")
		cmd.Stdout, cmd.Stderr = p.log, p.log
		return cmd
	}
	p.again(t)
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill() // it may have ended already
		if t.Failed() {
			t.Logf("log of %s:\n%s", name, tail(p.log.String(), 8000))
		}
		require.NotContains(t, p.log.String(), "DATA RACE", name)
	})
	return p
}

// again starts a program that has ended, or was never started, at its addresses.
func (p *program) again(t *testing.T) {
	t.Helper()
	p.cmd = p.command()
	require.NoError(t, p.cmd.Start())
	go func(cmd *exec.Cmd) { p.ended <- cmd.Wait() }(p.cmd)
}

func tail(s string, n int) string {
	if len(s) > n {
		return "…" + s[len(s)-n:]
	}
	return s
}

// kill ends the process as a power failure would.
func (p *program) kill(t *testing.T) {
	t.Helper()
	require.NoError(t, p.cmd.Process.Kill())
	<-p.ended
}

// terminate asks the process to end, and expects it to end cleanly.
func (p *program) terminate(t *testing.T) {
	t.Helper()
	require.NoError(t, p.cmd.Process.Signal(syscall.SIGTERM))
	select {
	case err := <-p.ended:
		require.NoError(t, err, "%s: %s", p.name, tail(p.log.String(), 4000))
	case <-time.After(40 * time.Second):
		t.Fatalf("%s does not end", p.name)
	}
}

func (p *program) awaitReady(t *testing.T) {
	t.Helper()
	answer := "no answer"
	defer func() {
		if t.Failed() {
			t.Logf("%s was not ready: %s", p.name, answer)
		}
	}()
	require.Eventually(t, func() bool {
		select {
		case err := <-p.ended:
			t.Fatalf("%s ended: %v\n%s", p.name, err, tail(p.log.String(), 4000))
		default:
		}
		resp, err := http.Get(p.admin + "/readyz")
		if err != nil {
			answer = err.Error()
			return false
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		answer = fmt.Sprintf("%s %s %v", resp.Status, body, err)
		return resp.StatusCode == http.StatusOK
	}, 60*time.Second, 50*time.Millisecond, "%s does not become ready", p.name)
}

// envelope is every answer of the API.
type envelope struct {
	Code   int             `json:"code"`
	Msg    string          `json:"msg"`
	Field  string          `json:"field"`
	TaskID string          `json:"task_id"`
	Data   json.RawMessage `json:"data"`

	status int
}

func (e envelope) into(t testing.TB, v any) {
	t.Helper()
	require.NoError(t, json.Unmarshal(e.Data, v), string(e.Data))
}

// call makes one request and reads the envelope. A broken connection is an error, any status is not.
func call(ctx context.Context, method, url, bearer string, body any) (envelope, error) {
	var e envelope
	var reader io.Reader
	if body != nil {
		raw, err := json.Marshal(body)
		if err != nil {
			return e, err
		}
		reader = bytes.NewReader(raw)
	}
	req, err := http.NewRequestWithContext(ctx, method, url, reader)
	if err != nil {
		return e, err
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if bearer != "" {
		req.Header.Set("Authorization", "Bearer "+bearer)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return e, err
	}
	defer resp.Body.Close()
	e.status = resp.StatusCode
	if err := json.NewDecoder(resp.Body).Decode(&e); err != nil {
		return e, fmt.Errorf("%s %s: %s: %w", method, url, resp.Status, err)
	}
	return e, nil
}

// must is call for a request that has to succeed.
func must(t testing.TB, method, url, bearer string, body any) envelope {
	t.Helper()
	e, err := call(t.Context(), method, url, bearer, body)
	require.NoError(t, err)
	require.Less(t, e.status, 300, "%s %s: %d %s (%s)", method, url, e.status, e.Msg, e.Field)
	return e
}
