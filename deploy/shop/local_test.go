package shop

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/deploy/boot"
	"github.com/paidui/paidui/deploy/config"
	"github.com/paidui/paidui/deploy/testenv"
)

// output is written by a program while the test reads it.
type output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

// TestLocalFindsItsOwnWay runs it where both its ports are taken and its database is missing.
func TestLocalFindsItsOwnWay(t *testing.T) {
	t.Parallel()
	server, err := url.Parse(testenv.MySQL(t))
	require.NoError(t, err)
	server.Path += "_missing"
	for name, database := range map[string]string{
		"SQLite": "sqlite://" + filepath.Join(t.TempDir(), "new", "paidui.db"),
		"MySQL":  server.String(),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var taken [2]string
			for i := range taken {
				ln, err := net.Listen("tcp", "127.0.0.1:0")
				require.NoError(t, err)
				defer ln.Close()
				taken[i] = ln.Addr().String()
			}
			app, cfg := load(t, config.Local, []string{
				"PAIDUI_HTTP_ADDR=" + taken[0],
				"PAIDUI_ADMIN_ADDR=" + taken[1],
				"PAIDUI_DATABASE_URL=" + database,
				"PAIDUI_SCHEDULES=" + filepath.Join("..", "schedules.yaml"),
				"PAIDUI_LOG_LEVEL=error",
				"PAIDUI_OPERATOR_KEY=" + operatorKey,
			})
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			var out output
			ended := make(chan error, 1)
			go func() { ended <- boot.Local(ctx, app, cfg, &out) }()

			var where []string
			for where == nil {
				select {
				case err := <-ended:
					t.Fatalf("it ended: %v\n%s", err, out.String())
				case <-time.After(20 * time.Millisecond):
					where = regexp.MustCompile(`(?s)ready\.  (http://\S+).*metrics\s+(http://\S+)/readyz`).FindStringSubmatch(out.String())
				}
			}
			require.Contains(t, out.String(), taken[0]+" is taken")
			require.NotContains(t, where[1:], "http://"+taken[0])
			require.NotContains(t, where[1:], "http://"+taken[1])
			require.Equal(t, http.StatusOK, awaitAnswer(t, where[1]+"/v1/banners"))
			require.Equal(t, http.StatusOK, awaitAnswer(t, where[2]+"/healthz"))
			runDurably(t, where[1], where[2])
			cancel()
			require.NoError(t, <-ended)
		})
	}
}

const operatorKey = "0123456789abcdef0123456789abcdef"

// runDurably has a task go through the outbox.
func runDurably(t *testing.T, api, admin string) {
	t.Helper()
	body := `{"task":"demo.add","args":{"n":1,"m":2},"id":"kept","durable":true}`
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, api+"/v1/tasks", strings.NewReader(body))
	require.NoError(t, err)
	req.Header.Set("Authorization", "Bearer "+operatorKey)
	req.Header.Set("Content-Type", "application/json")
	require.Contains(t, answerOf(t, req), `"task_id":"kept"`)
	get := func(url string) string {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
		require.NoError(t, err)
		req.Header.Set("Authorization", "Bearer "+operatorKey)
		return answerOf(t, req)
	}
	require.Contains(t, get(api+"/v1/tasks/kept?wait=20s"), `"result":3`)
	require.Eventually(t, func() bool { // beside it, the task of the seeding
		metrics := get(admin + "/metrics")
		return strings.Contains(metrics, "paidui_outbox_sent_total 2\n") &&
			strings.Contains(metrics, `paidui_outbox_rows{state="sent"} 0`) &&
			strings.Contains(metrics, "paidui_outbox_oldest_seconds 0\n")
	}, 20*time.Second, 50*time.Millisecond, "the row stays")
}

func answerOf(t *testing.T, req *http.Request) string {
	t.Helper()
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return string(body)
}

func TestTheStartSaysWhoReadsCodes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		program        config.Program
		provider, host string
		public         bool
		level          string
	}{
		{config.Local, SMSOutbox, "127.0.0.1", true, ""},
		{config.Local, SMSOutbox, "::1", true, ""},
		{config.Local, SMSOutbox, "0.0.0.0", true, "WARN"},
		{config.Local, SMSOutbox, "192.168.1.7", true, "WARN"},
		{config.Local, SMSOutbox, "0.0.0.0", false, "INFO"},
		{config.API, SMSOutbox, "127.0.0.1", true, "WARN"},
		{config.API, SMSOutbox, "::", true, "WARN"},
		{config.API, SMSOutbox, "::", false, "INFO"},
		{config.API, SMSTencent, "0.0.0.0", true, ""},
	} {
		var log bytes.Buffer
		tellOfOutbox(t.Context(), slog.New(slog.NewTextHandler(&log, nil)), c.program,
			Settings{SMSProvider: c.provider, OutboxPublic: c.public}, &net.TCPAddr{IP: net.ParseIP(c.host), Port: 8000})
		if c.level == "" {
			require.Empty(t, log.String(), c)
			continue
		}
		require.Contains(t, log.String(), "level="+c.level, c)
		require.Contains(t, log.String(), "/v1/outbox")
		require.Equal(t, 1, bytes.Count(log.Bytes(), []byte("\n")), "one line")
	}
}
