package deploy_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/deploy/testenv"
	"github.com/paidui/paidui/models"
)

// inModule runs a command in an example's folder.
func inModule(t *testing.T, example string, command ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), command[0], command[1:]...)
	cmd.Dir = filepath.Join("examples", example)
	cmd.Env = append(os.Environ(), "GOFLAGS=")
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%v in %s:\n%s", command, example, out)
}

// TestExamplesTakeTheVersionsOfPaidui: what is compiled for one is there for the others.
func TestExamplesTakeTheVersionsOfPaidui(t *testing.T) {
	t.Parallel()
	folders, err := filepath.Glob("examples/*/go.mod")
	require.NoError(t, err)
	ours := requirements(t, filepath.Join("..", "go.mod"))
	for _, folder := range folders {
		for name, version := range requirements(t, folder) {
			if want, ok := ours[name]; ok {
				require.Equal(t, want, version, "%s in %s", name, folder)
			}
		}
	}
}

// requirements are the versions that a go.mod asks for, by module.
func requirements(t *testing.T, file string) map[string]string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "mod", "edit", "-json", file).Output()
	require.NoError(t, err)
	var parsed struct {
		Require []struct{ Path, Version string }
	}
	require.NoError(t, json.Unmarshal(out, &parsed))
	versions := make(map[string]string)
	for _, module := range parsed.Require {
		versions[module.Path] = module.Version
	}
	require.NotEmpty(t, versions)
	return versions
}

// TestExamplesPassTheirTests: each is a module of its own, as a program of somebody else.
func TestExamplesPassTheirTests(t *testing.T) {
	t.Parallel()
	folders, err := filepath.Glob("examples/*/go.mod")
	require.NoError(t, err)
	require.Len(t, folders, 3)
	for _, folder := range folders {
		example := filepath.Base(filepath.Dir(folder))
		t.Run(example, func(t *testing.T) {
			inModule(t, example, "go", "test", "./...") // which vets, too
		})
	}
}

// TestTheReportsExample builds it and uses it as its README says: in one process, with a database in a file; and then api, worker
// and scheduler on MySQL that has tables of somebody else.
func TestTheReportsExample(t *testing.T) {
	t.Parallel()
	bin := filepath.Join(t.TempDir(), "reports")
	inModule(t, "reports", "go", "build", "-o", bin, ".")

	t.Run("in one process", func(t *testing.T) {
		t.Parallel()
		p := startExample(t, bin, []string{"local"}, "PAIDUI_DATABASE_URL=sqlite://"+filepath.Join(t.TempDir(), "reports.db"))
		useReports(t, p.url)
		followWelcome(t, p.log)
		p.stop(t)
	})
	t.Run("on MySQL", func(t *testing.T) {
		t.Parallel()
		database := testenv.MySQL(t)
		db, err := models.Open(t.Context(), database, models.Options{})
		require.NoError(t, err)
		defer func() { require.NoError(t, models.Close(db)) }()
		for _, table := range []string{"users", "orders", "outbox"} {
			require.NoError(t, db.Exec("CREATE TABLE "+table+" (id int PRIMARY KEY, theirs text)").Error)
		}
		stores := []string{"PAIDUI_DATABASE_URL=" + database, "PAIDUI_BROKER_URL=" + testenv.RedisURL(t)}
		api := startExample(t, bin, []string{"api"}, stores...)
		worker := startExample(t, bin, []string{"worker"}, stores...)
		scheduler := startExample(t, bin, []string{"scheduler"}, stores...)
		useReports(t, api.url)
		for _, p := range []*example{scheduler, worker, api} {
			p.stop(t)
		}
		var columns int
		require.NoError(t, db.Raw("SELECT COUNT(*) FROM information_schema.columns WHERE table_schema = DATABASE() AND"+
			" table_name IN ('users', 'orders', 'outbox')").Scan(&columns).Error)
		require.Equal(t, 6, columns, "nobody has touched what is theirs")
	})
}

// example is a running program.
type example struct {
	process *testenv.Process
	url     string // of its API
	log     string // its file
}

const exampleKey = "the-key-of-an-operator"

// startExample starts it and waits until it is ready.
func startExample(t *testing.T, bin string, args []string, env ...string) *example {
	t.Helper()
	addr, admin := fmt.Sprintf("127.0.0.1:%d", testenv.FreePort(t)), fmt.Sprintf("127.0.0.1:%d", testenv.FreePort(t))
	cmd := exec.Command(bin, args...)
	cmd.Dir = t.TempDir()
	cmd.Env = append(os.Environ(), "PAIDUI_HTTP_ADDR="+addr, "PAIDUI_ADMIN_ADDR="+admin, "PAIDUI_OPERATOR_KEY="+exampleKey,
		"PAIDUI_SHUTDOWN_DELAY=0s")
	cmd.Env = append(cmd.Env, env...)
	log := filepath.Join(t.TempDir(), "log")
	p, err := testenv.StartProcess(cmd, log)
	require.NoError(t, err)
	t.Cleanup(func() {
		p.Stop(syscall.SIGKILL, testenv.Patience)
		if t.Failed() {
			text, _ := os.ReadFile(log)
			t.Logf("%v:\n%s", args, text)
		}
	})
	require.NoError(t, p.Await(testenv.Patience, func() error {
		a, err := http.Get("http://" + admin + "/readyz")
		if err != nil {
			return err
		}
		defer a.Body.Close()
		if a.StatusCode != http.StatusOK {
			return errors.New(a.Status)
		}
		return nil
	}))
	return &example{p, "http://" + addr, log}
}

// followWelcome pastes what local says when it is ready into a shell: the last two commands enqueue a task and find it.
func followWelcome(t *testing.T, log string) {
	t.Helper()
	said, err := os.ReadFile(log)
	require.NoError(t, err)
	var answers []string
	for line := range strings.Lines(string(said)) {
		if command := strings.TrimSpace(line); strings.HasPrefix(command, "curl ") {
			out, err := exec.CommandContext(t.Context(), "sh", "-c", command).CombinedOutput()
			require.NoError(t, err, "%s\n%s", command, out)
			answers = append(answers, string(out))
		}
	}
	require.Len(t, answers, 3, "%s", said)
	require.Contains(t, answers[0], `"report.make"`)
	require.Contains(t, answers[1], `"task_id":"`)
	require.Contains(t, answers[2], `"code":100`)
}

// stop ends it as an operator does, and expects that it says goodbye properly.
func (e *example) stop(t *testing.T) {
	t.Helper()
	e.process.Signal(syscall.SIGTERM)
	<-e.process.Done()
	require.NoError(t, e.process.Exit())
}

// useReports does what the example's README does: its own route, the task API, the schedule, the history, the page.
func useReports(t *testing.T, url string) {
	t.Helper()
	ask := func(method, path, body string) string {
		r, err := http.NewRequestWithContext(t.Context(), method, url+path, strings.NewReader(body))
		require.NoError(t, err)
		r.Header.Set("Authorization", "Bearer "+exampleKey)
		if body != "" {
			r.Header.Set("Content-Type", "application/json")
		}
		a, err := http.DefaultClient.Do(r)
		require.NoError(t, err)
		defer a.Body.Close()
		text, err := io.ReadAll(a.Body)
		require.NoError(t, err)
		return string(text)
	}
	var made struct {
		ID string `json:"task_id"`
	}
	require.NoError(t, json.Unmarshal([]byte(ask(http.MethodPost, "/reports/2026-11", "")), &made))
	require.NotEmpty(t, made.ID)
	require.Contains(t, ask(http.MethodGet, "/v1/tasks/"+made.ID+"?wait=30s", ""), "All went well in November 2026.")
	require.JSONEq(t, `[{"month":"2026-11","body":"All went well in November 2026."}]`, ask(http.MethodGet, "/reports", ""))
	ask(http.MethodPost, "/v1/tasks", `{"task":"report.make","args":{"month":"2026-10"},"id":"october"}`)
	require.Contains(t, ask(http.MethodGet, "/v1/tasks/october?wait=30s", ""), "All went well in October 2026.")
	require.Contains(t, ask(http.MethodGet, "/v1/schedules", ""), `"monthly-report"`)
	testenv.Eventually(t, func() bool {
		return strings.Contains(ask(http.MethodGet, "/v1/tasks?task=report.make&state=SUCCESS", ""), `"october"`)
	}, "the history has it")
	require.Contains(t, ask(http.MethodGet, "/v1/task-types", ""), `"report.make"`)
	require.Contains(t, ask(http.MethodGet, "/docs", ""), "<html")
	require.Contains(t, ask(http.MethodGet, "/docs/openapi.yaml", ""), "report.make, in queue default")
}
