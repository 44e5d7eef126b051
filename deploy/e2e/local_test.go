package e2e

import (
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/api/web/webtest"
	"github.com/paidui/paidui/deploy/testenv"
)

// startLocal starts the program of `make run` with its database in a folder of the test, and waits for its welcome.
func startLocal(t *testing.T, database string, env ...string) (p *program, welcome string) {
	t.Helper()
	bin := build(t)
	p = start(t, filepath.Join(bin, "paidui"), "paidui", append(env, "PAIDUI_DATABASE_URL=sqlite://"+database))
	p.awaitReady(t)
	require.Eventually(t, func() bool {
		welcome = p.log.String()
		return strings.Contains(welcome, "/v1/articles/5\n") // its last part; it comes through a pipe
	}, 30*time.Second, 10*time.Millisecond)
	url := regexp.MustCompile(`Paidui is ready\.  (https?://\S+)`).FindStringSubmatch(welcome)
	require.NotNil(t, url, welcome)
	p.url = url[1]
	return p, welcome
}

// TestLocalWelcome pastes every command of the welcome into a shell, in order, and expects what it promises.
func TestLocalWelcome(t *testing.T) {
	taken, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", testenv.FreePort(t)))
	require.NoError(t, err)
	defer func() { require.NoError(t, taken.Close()) }()
	p, welcome := startLocal(t, filepath.Join(t.TempDir(), "data", "paidui.db"), "PAIDUI_HTTP_ADDR="+taken.Addr().String())
	require.Contains(t, welcome, taken.Addr().String()+" is taken")
	require.Contains(t, welcome, "are gone when this process ends")

	script := &strings.Builder{}
	fmt.Fprintln(script, "set -eu")
	for _, line := range regexp.MustCompile(`(?m)^    ((?:curl|[A-Z]+=).*)$`).FindAllStringSubmatch(welcome, -1) {
		fmt.Fprintf(script, "%s\necho\nsleep 1\n", line[1]) // a person pastes more slowly than this
	}
	out, err := exec.CommandContext(t.Context(), "bash", "-c", script.String()).CombinedOutput()
	require.NoError(t, err, string(out))
	for _, want := range []string{
		`"task_id":"my-first"`, `"state":"SUCCESS","args":{"n":10,"m":20},"result":30`, // a task
		"event: end\n", `"data":{"tasks":[{"id":"my-`, // a task followed, the history
		`"task_id":"sms_`, "eyJ", // a code, a token
		`"task_id":"seckill_`, `"code":100,"msg":"秒杀成功"`, // an order
		`"title":"Changed"`, // a banner
		`"certi":"后端工程师"`,   // a user
	} {
		require.Contains(t, string(out), want)
	}
	require.Equal(t, 2, strings.Count(string(out), `"title":"Changed"`), "the write's answer and the list after it")
	require.Contains(t, string(out), `"followed_at":`)
	require.Contains(t, string(out), `"followers":4}`)
	require.Equal(t, 2, strings.Count(string(out), `"id":5,"user_id":5,"title":"Hello"`), "an article: what was made and what is read")
	p.terminate(t)
}

// TestLocalInTheBrowser buys something on the real page, and again after a restart that kept the database.
func TestLocalInTheBrowser(t *testing.T) {
	database := filepath.Join(t.TempDir(), "paidui.db")
	browser := webtest.Browser(t)
	env := fmt.Sprintf("PAIDUI_HTTP_ADDR=127.0.0.1:%d", testenv.FreePort(t))
	p, _ := startLocal(t, database, env)
	first := webtest.Walk(t, browser, p.url, "13812345678")
	p.kill(t)
	p, _ = startLocal(t, database, env)
	second := webtest.Walk(t, browser, p.url, "13812345679")
	require.NotEqual(t, first, second)
	p.terminate(t)
}
