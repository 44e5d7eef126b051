package boot

import (
	"bytes"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/deploy/config"
)

// execute runs a command line and returns its output.
func execute(t *testing.T, cmd *cobra.Command, args ...string) (string, error) {
	t.Helper()
	var out bytes.Buffer
	cmd.SetOut(&out)
	cmd.SetErr(&out)
	cmd.SetArgs(args)
	err := cmd.ExecuteContext(t.Context())
	return out.String(), err
}

func TestHealthCommand(t *testing.T) {
	admin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/readyz" {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		_, _ = w.Write([]byte(r.URL.Path + " says\n"))
	}))
	defer admin.Close()
	_, port, err := net.SplitHostPort(admin.Listener.Addr().String())
	require.NoError(t, err)
	worker := func() *cobra.Command {
		return Command(sampleApp(t), config.Worker)
	}

	for _, addr := range []string{"127.0.0.1:" + port, ":" + port, "0.0.0.0:" + port} {
		t.Setenv("PAIDUI_ADMIN_ADDR", addr)
		out, err := execute(t, worker(), "health")
		require.NoError(t, err, addr)
		require.Equal(t, "/healthz says\n", out)
		_, err = execute(t, worker(), "health", "--ready")
		require.ErrorContains(t, err, "503 Service Unavailable: /readyz says", addr)
	}
	_, err = execute(t, worker(), "health", "now")
	require.Error(t, err, "it takes no arguments")
	t.Setenv("PAIDUI_ADMIN_ADDR", "nowhere")
	_, err = execute(t, worker(), "health")
	require.ErrorContains(t, err, "PAIDUI_ADMIN_ADDR")

	admin.Close()
	t.Setenv("PAIDUI_ADMIN_ADDR", "127.0.0.1:"+port)
	_, err = execute(t, worker(), "health")
	require.ErrorContains(t, err, "refused")
}

// TestHelpFitsAndIsOfItsProgram reads the --help of every command.
func TestHelpFitsAndIsOfItsProgram(t *testing.T) {
	for _, c := range []struct {
		program      config.Program
		args         []string
		names, hides string
	}{
		{config.API, nil, "PAIDUI_OPERATOR_KEY_FILE", "PAIDUI_CONCURRENCY"},
		{config.API, []string{"health"}, "PAIDUI_ADMIN_ADDR", "PAIDUI_CONCURRENCY"},
		{config.API, []string{"migrate"}, "PAIDUI_DATABASE_URL", "PAIDUI_OPERATOR_KEY"},
		{config.API, []string{"seed"}, "PAIDUI_DATABASE_URL", "PAIDUI_OPERATOR_KEY"},
		{config.Worker, nil, "PAIDUI_CONCURRENCY", "PAIDUI_SCHEDULES"},
		{config.Scheduler, nil, "PAIDUI_SCHEDULES", "PAIDUI_HTTP_ADDR"},
		{config.Local, nil, "PAIDUI_SCHEDULES", "PAIDUI_JWT_SECRET"},
	} {
		cmd := Command(sampleApp(t), c.program)
		out, err := execute(t, cmd, append(c.args, "--help")...)
		require.NoError(t, err)
		require.Contains(t, out, "Settings, by rising precedence")
		require.Contains(t, out, c.names)
		require.NotContains(t, out, c.hides)
		for line := range strings.SplitSeq(out, "\n") {
			require.LessOrEqual(t, utf8.RuneCountInString(line), 100, line)
		}
	}
}

func TestDatabaseCommands(t *testing.T) {
	t.Setenv("PAIDUI_DATABASE_URL", "sqlite://"+filepath.Join(t.TempDir(), "new", "paidui.db"))
	api := func() *cobra.Command { return Command(sampleApp(t), config.API) }
	for _, step := range []struct{ command, want string }{
		{"migrate", "the database is up to date\n"},
		{"migrate", "the database is up to date\n"},
		{"seed", "the database is filled\n"},
		{"seed", "the database holds data already: nothing was changed\n"},
	} {
		out, err := execute(t, api(), step.command)
		require.NoError(t, err, "%s needs no secrets", step.command)
		require.Equal(t, step.want, out)
	}
	_, err := execute(t, api(), "migrate", "-l", "loud")
	require.ErrorContains(t, err, "PAIDUI_LOG_LEVEL")

	t.Setenv("PAIDUI_DATABASE_URL", "sqlite://")
	for _, command := range []string{"migrate", "seed"} {
		_, err := execute(t, api(), command)
		require.ErrorContains(t, err, "PAIDUI_DATABASE_URL")
	}
}
