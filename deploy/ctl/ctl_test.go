package ctl

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/deploy/ctl/remote"
	"github.com/paidui/paidui/deploy/ctl/show"
)

const queueJSON = `{"name":"default","paused":{"since":"2026-12-01T11:55:00Z","by":"alice"},"pending":1200,"by_priority":{"high":1,"normal":1199,"low":0},
	"active":4,"scheduled":3,"retry":0,"dead":2,"completed":30,"oldest_wait":0.07,"in_last_minute":42,"out_last_minute":30,"workers":0,"memory":3537390,"max_length":5000}`

func queuesPage(next string, names ...string) string {
	var rows []string
	for _, name := range names {
		rows = append(rows, strings.Replace(queueJSON, "default", name, 1))
	}
	return `{"queues":[` + strings.Join(rows, ",") + `],"next_cursor":` + next + `}`
}

func TestExitCodesAndErrors(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		answer answer
		env    map[string]string
		args   []string
		status int
		says   string
	}{
		"not found":      {answer: answer{status: 404, msg: "there is no such queue", field: "name"}, status: 3, says: "name: there is no such queue (404)"},
		"bad argument":   {answer: answer{status: 400, msg: "name: too long", field: "name"}, status: 2, says: "paidui: name: too long (400)"},
		"conflict":       {answer: answer{status: 409, msg: "it runs"}, status: 1, says: "it runs (409)"},
		"wrong key":      {answer: answer{status: 401, msg: "the operator key is wrong"}, status: 5, says: "the key of PAIDUI_OPERATOR_KEY is not one of http://127.0.0.1"},
		"no key":         {answer: answer{status: 401, msg: "an operator's key is needed"}, env: map[string]string{remote.KeyVariable: ""}, status: 5, says: "no key is set: put an operator's into PAIDUI_OPERATOR_KEY"},
		"an observer":    {answer: answer{status: 403, msg: "an observer may look"}, status: 5, says: "an observer may look (403)"},
		"away":           {answer: answer{status: 503, msg: "unavailable", header: map[string]string{"Retry-After": "7"}}, status: 4, says: "unavailable; try again in 7s (503)"},
		"broken":         {answer: answer{status: 500, msg: "internal error", header: map[string]string{"X-Request-ID": "r-1"}}, status: 1, says: "request id r-1 (500)"},
		"leads away":     {answer: answer{status: 308, header: map[string]string{"Location": "https://elsewhere/"}}, status: 1, says: "leads elsewhere, to https://elsewhere/"},
		"colours":        {answer: answer{status: 400, msg: "\x1b[31mred\u202e"}, status: 2, says: `\u001b[31mred\u202e (400)`},
		"no address":     {env: map[string]string{remote.URLVariable: "localhost:8000"}, status: 2, says: "PAIDUI_URL: it is not the URL of an API"},
		"a password":     {env: map[string]string{remote.URLVariable: "http://me:hunter2@host"}, status: 2, says: "the key belongs into PAIDUI_OPERATOR_KEY"},
		"two keys":       {env: map[string]string{remote.KeyFileVariable: "x"}, status: 2, says: "are both set"},
		"a broken key":   {env: map[string]string{remote.KeyVariable: "hunter2 x"}, status: 2, says: "a blank"},
		"a key argument": {args: []string{"--key", "hunter2"}, status: 2, says: "stays in the shell's history"},
		"a flag":         {args: []string{"--nope"}, status: 2, says: "unknown flag: --nope; see paidui ctl queues --help"},
		"too many":       {args: []string{"other"}, status: 2, says: "accepts at most 1 arg(s)"},
		"watch":          {args: []string{"--watch=1ms"}, status: 2, says: "--watch: 1ms is not between"},
		"nobody there":   {env: map[string]string{remote.URLVariable: "http://127.0.0.1:1"}, status: 4, says: "the API at http://127.0.0.1:1 does not answer"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFakeAPI(t).on("GET /v1/queues/default", func(request) answer { return c.answer })
			s := f.shell()
			for name, value := range c.env {
				s = s.with(name, value)
			}
			r := s.run(t, append([]string{"ctl", "queues", "default"}, c.args...)...)
			require.Equal(t, c.status, r.status, r.err)
			require.Contains(t, r.err, c.says)
			require.NotContains(t, r.err+r.out, "hunter2", "secrets are not shown")
			require.NotContains(t, r.err, "\x1b")
		})
	}
}

func TestUnknownCommandsAreUsage(t *testing.T) {
	t.Parallel()
	f := newFakeAPI(t)
	r := f.shell().run(t, "ctl", "frobnicate")
	require.Equal(t, 2, r.status)
	require.Contains(t, r.err, `unknown command "frobnicate" for "paidui ctl"`)
	require.Contains(t, f.shell().run(t, "ctl").ok(t), "Available Commands:")
	require.Empty(t, f.got())
	r = f.shell().run(t, "top")
	require.Equal(t, 2, r.status)
	require.Contains(t, r.err, "top wants a terminal")
}

func TestAnInterruptedCommandIsNotDone(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	asked := make(chan struct{})
	f := newFakeAPI(t).on("GET /v1/queues", func(request) answer {
		cancel()
		<-asked
		return answer{data: queuesPage("null")}
	})
	s := f.shell()
	s.ctx = ctx
	require.Equal(t, ran{status: 130}, s.run(t, "ctl", "queues"))
	close(asked)
}

func TestNotPaidui(t *testing.T) {
	t.Parallel()
	f := newFakeAPI(t)
	f.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>")) })
	r := f.shell().run(t, "ctl", "queues")
	require.Equal(t, 1, r.status)
	require.Contains(t, r.err, "is it a Paidui API?")
}

// TestRequestsSayWhoAndInWhichLanguage looks at the headers.
func TestRequestsSayWhoAndInWhichLanguage(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "key")
	require.NoError(t, os.WriteFile(file, []byte("from-a-file\n"), 0o600))
	for name, c := range map[string]struct {
		env           map[string]string
		key, language string
	}{
		"variable": {nil, "the-key", "en"},
		"file":     {map[string]string{remote.KeyVariable: "", remote.KeyFileVariable: file}, "from-a-file", "en"},
		"chinese":  {map[string]string{"LANG": "zh_CN.UTF-8"}, "the-key", "zh"},
		"LC_ALL":   {map[string]string{"LANG": "zh_CN.UTF-8", "LC_ALL": "C"}, "the-key", "en"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFakeAPI(t).on("GET /v1/queues", data(queuesPage("null", "default")))
			s := f.shell()
			for name, value := range c.env {
				s = s.with(name, value)
			}
			s.run(t, "ctl", "queues").ok(t)
			require.Equal(t, "Bearer "+c.key, f.requests[0].header.Get("Authorization"))
			require.Equal(t, c.language, f.requests[0].header.Get("Accept-Language"))
			require.Equal(t, "paidui-ctl/v1.2.3", f.requests[0].header.Get("User-Agent"))
		})
	}
}

func TestKeyFilesThatAreNone(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "key")
	f := newFakeAPI(t)
	for content, says := range map[string]string{"": "is empty", strings.Repeat("k", 5000): "larger than 4096 bytes", "a b": "a blank"} {
		require.NoError(t, os.WriteFile(file, []byte(content), 0o600))
		r := f.shell().with(remote.KeyVariable, "").with(remote.KeyFileVariable, file).run(t, "ctl", "queues")
		require.Equal(t, 2, r.status)
		require.Contains(t, r.err, says)
	}
	r := f.shell().with(remote.KeyVariable, "").with(remote.KeyFileVariable, filepath.Dir(file)).run(t, "ctl", "queues")
	require.Equal(t, 2, r.status)
	require.Contains(t, r.err, "not a regular file")
	require.Empty(t, f.got())
}

// TestHelpOfEachCommand: it fits, and says all that it should.
func TestHelpOfEachCommand(t *testing.T) {
	t.Parallel()
	var walk func(cmd *cobra.Command, path []string)
	f := newFakeAPI(t)
	walk = func(cmd *cobra.Command, path []string) {
		path = append(path, cmd.Name())
		out := f.shell().run(t, append(path[:len(path):len(path)], "--help")...).ok(t)
		for line := range strings.Lines(out) {
			if strings.HasPrefix(strings.TrimSpace(line), "paidui ") { // examples are to be copied whole
				continue
			}
			require.LessOrEqual(t, show.Width(strings.TrimRight(line, "\n")), 132, "%v: %s", path, line)
		}
		require.NotContains(t, out, "PROGRAM", path)
		require.NotContains(t, out, "--key", path)
		require.NotEmpty(t, cmd.Short, path)
		if path[0] == "ctl" {
			require.Contains(t, out, "PAIDUI_OPERATOR_KEY_FILE", path)
			require.Contains(t, out, "130  Ctrl-C before the end", path)
		}
		for _, sub := range cmd.Commands() {
			walk(sub, path)
		}
	}
	for _, cmd := range Commands() {
		walk(cmd, nil)
	}
	require.Empty(t, f.got())
}

func TestCompletion(t *testing.T) {
	t.Parallel()
	f := newFakeAPI(t).
		on("GET /v1/queues", data(queuesPage("null", "default", "low"))).
		on("GET /v1/task-types", data(`[{"name":"demo.add","queue":"default"}]`))
	require.Contains(t, f.shell().run(t, "__complete", "ctl", "queues", "pause", "").ok(t), "default\nlow\n:4\n")
	require.Contains(t, f.shell().run(t, "__complete", "ctl", "queues", "pause", "low", "").ok(t), "default\nlow\n")
	require.Contains(t, f.shell().run(t, "__complete", "ctl", "enqueue", "").ok(t), "demo.add\n")
	require.Contains(t, f.shell().run(t, "__complete", "ctl", "tasks", "--state", "").ok(t), "FAILURE\n")
	require.Contains(t, f.shell().run(t, "__complete", "ctl", "workers", "log-level", "w", "").ok(t), "debug\ninfo\n")
	require.Contains(t, f.shell().with(remote.URLVariable, "http://127.0.0.1:1").run(t, "__complete", "ctl", "queues", "").ok(t), ":4\n")
	out := f.shell().run(t, "__complete", "ctl", "queues", "--").ok(t)
	require.Contains(t, out, "--watch")
	require.NotContains(t, out, "--key")
	for _, kind := range []string{"bash", "zsh", "fish"} {
		require.Contains(t, f.shell().run(t, "completion", kind).ok(t), "paidui", kind)
	}
}
