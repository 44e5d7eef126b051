package e2e

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/deploy/testenv"
)

// run runs a program to its end and returns its exit code and all that it printed.
func run(t *testing.T, path string, env []string, args ...string) (code int, output string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Env = append(os.Environ(), env...)
	cmd.Dir = filepath.Join("..", "..")
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		require.NoError(t, err)
	}
	require.NoError(t, ctx.Err(), "it does not end:\n%s", out)
	return cmd.ProcessState.ExitCode(), string(out)
}

func TestVersionAndHelp(t *testing.T) {
	bin := build(t)
	for name, flags := range map[string][]string{
		"api":       {"migrate", "seed"},
		"worker":    {"-Q, --queues", "-c, --concurrency", "-n, --name"},
		"scheduler": {},
		"paidui":    {"-Q, --queues"},
	} {
		code, out := run(t, filepath.Join(bin, name), nil, "--version")
		require.Zero(t, code, out)
		require.Regexp(t, `^`+name+` \S+\n$`, out)

		code, out = run(t, filepath.Join(bin, name), nil, "--help")
		require.Zero(t, code, out)
		for _, want := range append(flags, "--config", "-l, --log-level", "health",
			"PAIDUI_BROKER_URL", "PAIDUI_STARTUP_WAIT", "log_level") {
			require.Contains(t, out, want, name)
		}
	}
}

// TestProgramsRefuse starts the programs with what cannot work. Each says so, naming the setting and no password, and
// exits with 1; none waits for what waiting does not mend.
func TestProgramsRefuse(t *testing.T) {
	const secret = "hunter2"
	bin := build(t)
	locked := testenv.Redis(t, testenv.WithPassword("another-password"))
	open := testenv.Redis(t)
	mysql := testenv.MySQL(t)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, taken.Close()) })
	closed := fmt.Sprintf("127.0.0.1:%d", testenv.FreePort(t))
	schedule := filepath.Join(t.TempDir(), "schedules.yaml")
	require.NoError(t, os.WriteFile(schedule, []byte("schedules:\n  - {name: a, task: no.such, every: 0s}\n"), 0o600))
	base := func(t *testing.T) []string {
		return []string{
			fmt.Sprintf("PAIDUI_HTTP_ADDR=127.0.0.1:%d", testenv.FreePort(t)),
			fmt.Sprintf("PAIDUI_ADMIN_ADDR=127.0.0.1:%d", testenv.FreePort(t)),
			"PAIDUI_BROKER_URL=" + open.URL(1),
			"PAIDUI_CACHE_URL=" + open.URL(2),
			"PAIDUI_DATABASE_URL=" + mysql,
			"PAIDUI_JWT_SECRET=" + jwtSecret,
			"PAIDUI_OPERATOR_KEY=" + operatorKey,
			"PAIDUI_STARTUP_WAIT=1h",
		}
	}

	for name, c := range map[string]struct {
		program string
		env     []string
		args    []string
		want    []string
	}{
		"wrong Redis password": {"api",
			[]string{"PAIDUI_BROKER_URL=redis://:" + secret + "@" + locked.Addr + "/1"}, nil,
			[]string{"PAIDUI_BROKER_URL: Redis at " + locked.Addr + " refuses"}},
		"no Redis password": {"scheduler",
			[]string{"PAIDUI_BROKER_URL=redis://" + locked.Addr + "/1"}, nil,
			[]string{"PAIDUI_BROKER_URL: Redis at " + locked.Addr + " asks for a password"}},
		"wrong cache password": {"worker",
			[]string{"PAIDUI_CACHE_URL=redis://:" + secret + "@" + locked.Addr + "/1"}, nil,
			[]string{"PAIDUI_CACHE_URL: Redis at " + locked.Addr + " refuses"}},
		"no such Redis database": {"worker",
			[]string{"PAIDUI_CACHE_URL=redis://:" + secret + "@" + open.Addr + "/77"}, nil,
			[]string{"PAIDUI_CACHE_URL: Redis at " + open.Addr}},
		"wrong MySQL password": {"worker",
			[]string{"PAIDUI_DATABASE_URL=" + strings.Replace(mysql, "root@", "nobody:"+secret+"@", 1)}, nil,
			[]string{"PAIDUI_DATABASE_URL: MySQL at", `refuses user "nobody"`}},
		"MySQL unreachable": {"api",
			[]string{"PAIDUI_DATABASE_URL=mysql://root:" + secret + "@" + closed + "/paidui", "PAIDUI_STARTUP_WAIT=2s"}, nil,
			[]string{"PAIDUI_DATABASE_URL: cannot connect to MySQL at " + closed, "gave up after"}},
		"Redis unreachable": {"worker",
			[]string{"PAIDUI_BROKER_URL=redis://:" + secret + "@" + closed + "/1", "PAIDUI_STARTUP_WAIT=2s"}, nil,
			[]string{"PAIDUI_BROKER_URL: no answer from Redis at " + closed, "gave up after"}},
		"HTTP port in use": {"api",
			[]string{"PAIDUI_HTTP_ADDR=" + taken.Addr().String()}, nil,
			[]string{"PAIDUI_HTTP_ADDR: " + taken.Addr().String() + " is taken"}},
		"admin port in use": {"scheduler",
			[]string{"PAIDUI_ADMIN_ADDR=" + taken.Addr().String()}, nil,
			[]string{"PAIDUI_ADMIN_ADDR: " + taken.Addr().String() + " is taken"}},
		"no certificate": {"api",
			[]string{"PAIDUI_TLS_CERT_FILE=" + schedule, "PAIDUI_TLS_KEY_FILE=" + schedule}, nil,
			[]string{"PAIDUI_TLS_CERT_FILE " + schedule + " with PAIDUI_TLS_KEY_FILE " + schedule}},
		"no key": {"api", []string{"PAIDUI_TLS_CERT_FILE=" + schedule}, nil, []string{"PAIDUI_TLS_CERT_FILE (tls_cert_file, environment): "}},
		"misspelled variable": {"api",
			[]string{"PAIDUI_BROKER_URI=redis://:" + secret + "@h/1"}, nil,
			[]string{"PAIDUI_BROKER_URI (environment): there is no such setting; did you mean PAIDUI_BROKER_URL?"}},
		"bad queue name": {"worker", nil, []string{"-Q", "sms:6,bad.name"},
			[]string{"PAIDUI_QUEUES (queues, --queues): ", `"bad.name"`}},
		"URL that only Redis's parser refuses": {"worker",
			[]string{"PAIDUI_BROKER_URL=redis+cluster://:" + secret + "@h/3"}, nil,
			[]string{"PAIDUI_BROKER_URL (broker_url, environment): ", "no database number"}},
		"unescaped password": {"worker",
			[]string{"PAIDUI_BROKER_URL=redis://:1/" + secret + "@h/3", "PAIDUI_DATABASE_URL=mysql://root:1?" + secret + "@h/3"}, nil,
			[]string{"PAIDUI_BROKER_URL (broker_url, environment): ", "PAIDUI_DATABASE_URL (database_url, environment): "}},
		"several mistakes": {"api",
			[]string{
				"PAIDUI_JWT_SECRET=" + secret, "PAIDUI_OPERATOR_KEY=", "PAIDUI_BANNER_COUNT=many", "PAIDUI_TIMEZONE=Mars/Base",
				"PAIDUI_DATABASE_URL=mysql://root:" + secret + "@h/db?timeout=1s", "PAIDUI_LOGLEVEL=debug",
			}, []string{"-l", "loud"},
			[]string{
				"PAIDUI_JWT_SECRET (", "PAIDUI_OPERATOR_KEY (", "PAIDUI_BANNER_COUNT (", "PAIDUI_TIMEZONE (",
				"PAIDUI_DATABASE_URL (", "PAIDUI_LOGLEVEL (", "PAIDUI_LOG_LEVEL (",
			}},
		"wrong schedule": {"scheduler",
			[]string{"PAIDUI_SCHEDULES=" + schedule}, nil,
			[]string{schedule, "no.such", "every"}},
		"no schedule": {"scheduler",
			[]string{"PAIDUI_SCHEDULES=" + schedule + ".none"}, nil,
			[]string{schedule + ".none"}},
		"no configuration file": {"worker", nil, []string{"--config", schedule + ".none"}, []string{"--config", schedule + ".none"}},
		"unknown flag":          {"worker", nil, []string{"--queue=sms"}, []string{"--queue", "--help"}},
		"unknown command":       {"api", nil, []string{"migrat"}, []string{"migrat"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			begun := time.Now()
			code, out := run(t, filepath.Join(bin, c.program), append(base(t), c.env...), c.args...)
			require.Equal(t, 1, code, out)
			require.Less(t, time.Since(begun), 30*time.Second)
			said := strings.Join(regexp.MustCompile(`(?m)^`+c.program+`: .*`).FindAllString(out, -1), "\n")
			for _, want := range c.want {
				require.Contains(t, said, want, out)
			}
			require.NotContains(t, out, secret)
			require.NotContains(t, out, jwtSecret)
			require.NotContains(t, out, operatorKey)
		})
	}
}
