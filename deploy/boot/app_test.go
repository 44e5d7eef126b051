package boot

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/fstest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/deploy/config"
	"github.com/paidui/paidui/deploy/localkey"
	"github.com/paidui/paidui/deploy/testenv"
	"github.com/paidui/paidui/tasks"
)

// Modes of the test binary, beside those of child, in which it is a whole program.
const (
	modeNotes = "notes" // sampleApp
	modeBare  = "bare"  // bareApp
)

// mainOf is that program.
func mainOf(mode string) {
	app, err := newSampleApp()
	if mode == modeBare {
		app, err = newBareApp()
	}
	if err != nil {
		panic(err)
	}
	Main(app)
}

// newBareApp is an application without a database.
func newBareApp() (App, error) {
	catalog, err := tasks.NewCatalog(addTask)
	return App{
		Name:       "bare",
		Catalog:    catalog,
		NoDatabase: true,
		Bind: func(m *tasks.Mux, d Deps) {
			tasks.Handle(m, addTask, func(_ context.Context, a addArgs) (int, error) {
				if d.DB != nil || d.History != nil {
					return 0, errors.New("there is a database")
				}
				return a.N + a.M, nil
			})
		},
	}, err
}

const startLimit = 90 * time.Second

// startApp runs a program of the application as a process, in a folder of its own, and ends it after the test, which it must
// survive.
func startApp(t *testing.T, mode string, environ []string, args ...string) *testenv.Process {
	t.Helper()
	cmd := exec.Command(os.Args[0], args...)
	cmd.Dir = t.TempDir()
	cmd.Env = append(append(plainEnviron(), childMode+"="+mode), environ...)
	p, err := testenv.StartProcess(cmd, filepath.Join(cmd.Dir, "log"))
	require.NoError(t, err)
	t.Cleanup(func() {
		p.Signal(syscall.SIGTERM)
		select {
		case <-p.Done():
		case <-time.After(startLimit):
			p.Stop(syscall.SIGKILL, time.Second)
			t.Error("it did not stop at SIGTERM")
		}
		require.NoError(t, p.Exit(), "%s %v", mode, args)
	})
	return p
}

// plainEnviron is the environment without settings.
func plainEnviron() []string {
	return slices.DeleteFunc(os.Environ(), func(pair string) bool { return strings.HasPrefix(pair, "PAIDUI_") })
}

// runApp runs a command of the application to its end.
func runApp(t *testing.T, mode string, environ []string, args ...string) (stdout string, err error) {
	t.Helper()
	cmd := exec.Command(os.Args[0], args...)
	cmd.Dir = t.TempDir()
	cmd.Env = append(append(plainEnviron(), childMode+"="+mode), environ...)
	var words strings.Builder
	cmd.Stderr = &words
	out, err := cmd.Output()
	if err != nil {
		return string(out), errors.New(words.String())
	}
	return string(out), nil
}

// caller calls an API as its operator.
type caller struct {
	t    *testing.T
	base string
	key  string // operatorKey when empty
}

func (c caller) call(method, path, body string) (status int, text string) {
	c.t.Helper()
	req, err := http.NewRequestWithContext(c.t.Context(), method, c.base+path, strings.NewReader(body))
	require.NoError(c.t, err)
	req.Header.Set("Authorization", "Bearer "+cmp.Or(c.key, operatorKey))
	req.Header.Set("Accept-Language", "en")
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := http.DefaultClient.Do(req)
	require.NoError(c.t, err)
	defer resp.Body.Close()
	content, err := io.ReadAll(resp.Body)
	require.NoError(c.t, err)
	return resp.StatusCode, string(content)
}

const operatorKey = "0123456789abcdef0123456789abcdef"

// awaitReady waits until a program says that it is ready.
func awaitReady(t *testing.T, p *testenv.Process, admin string) {
	t.Helper()
	require.NoError(t, p.Await(startLimit, func() error {
		resp, err := http.Get("http://" + admin + "/readyz")
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		if err == nil && resp.StatusCode != http.StatusOK {
			err = fmt.Errorf("%s: %s", resp.Status, text)
		}
		return err
	}))
}

func freeAddr(t *testing.T) string {
	t.Helper()
	return fmt.Sprintf("127.0.0.1:%d", testenv.FreePort(t))
}

// TestTheProgramsOfAnApplication runs api, worker and scheduler of the tests' application as processes, on real servers.
func TestTheProgramsOfAnApplication(t *testing.T) {
	t.Parallel()
	broker, database := testenv.RedisURL(t), testenv.MySQL(t)
	u, err := url.Parse(database)
	require.NoError(t, err)
	u.Path += "_notes" // which migrate makes
	environ := []string{
		"PAIDUI_BROKER_URL=" + broker, "PAIDUI_DATABASE_URL=" + u.String(), "PAIDUI_OPERATOR_KEY=" + operatorKey,
		"PAIDUI_LOG_LEVEL=warn", "PAIDUI_SHUTDOWN_DELAY=0s", "NOTES_PREFIX=told:",
	}
	for _, want := range []string{"the database is up to date\n", "the database is up to date\n"} {
		out, err := runApp(t, modeNotes, environ, "migrate")
		require.NoError(t, err)
		require.Equal(t, want, out)
	}
	out, err := runApp(t, modeNotes, environ, "seed")
	require.NoError(t, err)
	require.Equal(t, "the database is filled\n", out)

	web := freeAddr(t)
	for _, program := range []string{"api", "worker", "scheduler"} {
		admin := freeAddr(t)
		own := append(slices.Clone(environ), "PAIDUI_HTTP_ADDR="+web, "PAIDUI_ADMIN_ADDR="+admin)
		p := startApp(t, modeNotes, own, program)
		awaitReady(t, p, admin)
		out, err := runApp(t, modeNotes, own, program, "health")
		require.NoError(t, err)
		require.Contains(t, out, `"name":"`+program+`"`)
		out, err = runApp(t, modeNotes, own, "health")
		require.NoError(t, err)
		require.Contains(t, out, `"status":"ok"`)
	}
	useNotes(t, caller{t: t, base: "http://" + web}, "told:")
}

// useNotes has the route of the tests' application make a task with data, waits for it, and finds it and those of the
// schedule in the history.
func useNotes(t *testing.T, c caller, prefix string) {
	t.Helper()
	status, id := c.call(http.MethodPost, "/v1/notes?text=hello", "")
	require.Equal(t, http.StatusAccepted, status, id)
	_, text := c.call(http.MethodGet, "/v1/tasks/"+id+"?wait=20s", "")
	require.Contains(t, text, `"state":"SUCCESS"`)
	require.Contains(t, text, `"result":"`+prefix+`hello"`)
	_, text = c.call(http.MethodGet, "/v1/notes", "")
	var notes []note
	require.NoError(t, json.Unmarshal([]byte(text), &notes), text)
	require.Equal(t, []note{{1, "the first"}, {2, prefix + "hello"}}, notes)
	for _, task := range []string{noteTask.Name(), addTask.Name()} {
		testenv.Eventually(t, func() bool {
			_, text := c.call(http.MethodGet, "/v1/tasks?task="+task, "")
			return strings.Contains(text, `"state":"SUCCESS"`)
		}, "the history of", task)
	}
	_, text = c.call(http.MethodGet, "/v1/schedules", "")
	require.Contains(t, text, `"sum"`)
	_, text = c.call(http.MethodGet, "/v1/task-types", "")
	for _, task := range []string{"notes.write", "notes.add", "history.prune", "queue.check"} {
		require.Contains(t, text, `"`+task+`"`)
	}
	require.NotContains(t, text, "seckill", "the shop is another application")
	status, _ = c.call(http.MethodGet, "/v1/banners", "")
	require.Equal(t, http.StatusNotFound, status)
}

// useKeys acts as alice, is refused as the wall, and finds both in the audit log.
func useKeys(t *testing.T, c caller) {
	t.Helper()
	alice, wall := caller{t, c.base, firstKey}, caller{t, c.base, wallsKey}
	status, text := alice.call(http.MethodDelete, "/v1/tasks/unknown", "")
	require.Equal(t, http.StatusNotFound, status, text)
	status, _ = wall.call(http.MethodGet, "/v1/tasks", "")
	require.Equal(t, http.StatusOK, status)
	status, text = wall.call(http.MethodDelete, "/v1/tasks/unknown", "")
	require.Equal(t, http.StatusForbidden, status, text)
	testenv.Eventually(t, func() bool {
		_, text = c.call(http.MethodGet, "/v1/audit?subject=unknown", "")
		return strings.Contains(text, `"who":"wall"`)
	}, "the act of the wall")
	require.Contains(t, text, `"who":"alice","role":"operator","what":"DELETE /v1/tasks/:id","subject":"unknown","outcome":"failed","status":404`)
}

// TestLocalOfAnApplication runs it in an empty folder, with nothing else there.
func TestLocalOfAnApplication(t *testing.T) {
	t.Parallel()
	environ := []string{
		"PAIDUI_HTTP_ADDR=127.0.0.1:0", "PAIDUI_ADMIN_ADDR=127.0.0.1:0", "PAIDUI_LOG_LEVEL=warn",
		"PAIDUI_OPERATOR_KEY=" + operatorKey, "PAIDUI_SHUTDOWN_DELAY=0s",
		"PAIDUI_OPERATOR_KEYS=alice=operator:" + firstKey + ",wall=observer:" + wallsKey,
	}
	p, c, folder := startLocal(t, modeNotes, environ)
	useNotes(t, c, "notes:")
	useKeys(t, c)
	require.FileExists(t, filepath.Join(folder, ".notes", "notes.db"))
	require.NoFileExists(t, filepath.Join(folder, localkey.Of("notes")), "who has set a key has it")
	p.Signal(syscall.SIGTERM)
	require.NoError(t, p.Exit())
}

// startLocal runs local, and reads where its API is from what it says.
func startLocal(t *testing.T, mode string, environ []string) (p *testenv.Process, c caller, folder string) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "local")
	cmd.Dir = t.TempDir()
	cmd.Env = append(append(plainEnviron(), childMode+"="+mode), environ...)
	said := filepath.Join(cmd.Dir, "said")
	file, err := os.Create(said)
	require.NoError(t, err)
	defer file.Close()
	cmd.Stdout = file
	p, err = testenv.StartProcess(cmd, filepath.Join(cmd.Dir, "log"))
	require.NoError(t, err)
	t.Cleanup(func() { p.Stop(syscall.SIGTERM, startLimit) })
	var base string
	require.NoError(t, p.Await(startLimit, func() error {
		text, err := os.ReadFile(said)
		found := regexp.MustCompile(mode + ` is ready\.  (http://\S+)`).FindSubmatch(text)
		if found == nil {
			return errors.Join(errors.New("it is not ready"), err)
		}
		base = string(found[1])
		return nil
	}))
	return p, caller{t: t, base: base}, cmd.Dir
}

// TestAnApplicationWithoutADatabase: what needs one says which setting there is not.
func TestAnApplicationWithoutADatabase(t *testing.T) {
	t.Parallel()
	out, err := runApp(t, modeBare, nil, "migrate")
	require.NoError(t, err)
	require.Equal(t, "there is nothing to do: PAIDUI_DATABASE_URL is set to nothing\n", out)
	_, err = runApp(t, modeBare, nil, "seed")
	require.ErrorContains(t, err, `unknown command "seed"`)

	schedules := filepath.Join(t.TempDir(), "schedules.yaml")
	require.NoError(t, os.WriteFile(schedules, []byte("schedules:\n  - {name: a, task: notes.add, args: {n: 1, m: 2}, every: 1s, durable: true}\n"), 0o600))
	environ := []string{
		"PAIDUI_HTTP_ADDR=127.0.0.1:0", "PAIDUI_ADMIN_ADDR=127.0.0.1:0", "PAIDUI_LOG_LEVEL=warn", "PAIDUI_OPERATOR_KEY=" + operatorKey,
		"PAIDUI_SHUTDOWN_DELAY=0s",
	}
	_, err = runApp(t, modeBare, append(slices.Clone(environ), "PAIDUI_SCHEDULES="+schedules), "local")
	require.ErrorContains(t, err, "bare: PAIDUI_SCHEDULES: a schedule is durable, and PAIDUI_DATABASE_URL is set to nothing")

	p, c, folder := startLocal(t, modeBare, environ)
	status, text := c.call(http.MethodPost, "/v1/tasks", `{"task":"notes.add","args":{"n":1,"m":2},"id":"a"}`)
	require.Equal(t, http.StatusOK, status, text)
	_, text = c.call(http.MethodGet, "/v1/tasks/a?wait=20s", "")
	require.Contains(t, text, `"result":3`)
	status, text = c.call(http.MethodGet, "/v1/tasks?task=notes.add", "")
	require.Equal(t, http.StatusNotImplemented, status)
	require.Contains(t, text, "PAIDUI_DATABASE_URL")
	status, text = c.call(http.MethodGet, "/v1/audit", "")
	require.Equal(t, http.StatusNotImplemented, status)
	require.Contains(t, text, "PAIDUI_DATABASE_URL")
	status, text = c.call(http.MethodPost, "/v1/tasks", `{"task":"notes.add","args":{"n":1,"m":2},"durable":true}`)
	require.Equal(t, http.StatusBadRequest, status)
	require.Contains(t, text, "PAIDUI_DATABASE_URL")
	_, text = c.call(http.MethodGet, "/v1/task-types", "")
	require.Contains(t, text, `"queue.check"`)
	require.NotContains(t, text, `"history.prune"`)
	found, err := filepath.Glob(filepath.Join(folder, ".*"))
	require.NoError(t, err)
	require.Empty(t, found, "there is no folder of a database")
	p.Signal(syscall.SIGTERM)
	require.NoError(t, p.Exit())
}

// TestTheProgramsOfAnApplicationWithoutADatabase run on Redis alone.
func TestTheProgramsOfAnApplicationWithoutADatabase(t *testing.T) {
	t.Parallel()
	web, redis := freeAddr(t), testenv.RedisURL(t)
	for _, program := range []string{"worker", "scheduler", "api"} {
		admin := freeAddr(t)
		p := startApp(t, modeBare, []string{
			"PAIDUI_BROKER_URL=" + redis, "PAIDUI_HTTP_ADDR=" + web, "PAIDUI_ADMIN_ADDR=" + admin, "PAIDUI_LOG_LEVEL=warn",
			"PAIDUI_OPERATOR_KEY=" + operatorKey, "PAIDUI_SHUTDOWN_DELAY=0s",
		}, program)
		awaitReady(t, p, admin)
	}
	c := caller{t: t, base: "http://" + web}
	c.call(http.MethodPost, "/v1/tasks", `{"task":"notes.add","args":{"n":20,"m":22},"id":"a"}`)
	_, text := c.call(http.MethodGet, "/v1/tasks/a?wait=20s", "")
	require.Contains(t, text, `"result":42`)
	_, text = c.call(http.MethodGet, "/v1/schedules", "")
	require.Contains(t, text, `"queue-check"`)
	require.NotContains(t, text, `"history-prune"`)
}

// TestWhatIsWrongWithAnApplication: whatever the program is called with, it says so.
func TestWhatIsWrongWithAnApplication(t *testing.T) {
	for want, change := range map[string]func(*App){
		"App.Catalog is nil: make one":                func(a *App) { a.Catalog = nil },
		`App.Name: "Notes App" is not made of`:        func(a *App) { a.Name = "Notes App" },
		"App.Models are there without App.Migrations": func(a *App) { a.Migrations, a.Models = nil, []any{&note{}} },
		`App.Name: "" is not made of`:                 func(a *App) { a.Name = "" },
		"App.Settings: two settings have the variable PAIDUI": func(a *App) {
			a.Settings = &struct {
				Key string `env:"PAIDUI_LOG_LEVEL" yaml:"level"`
			}{}
		},
		"App.Settings: a default for PAIDUI_QUEUE: there is no such setting": func(a *App) { a.Defaults = map[string]string{"PAIDUI_QUEUE": "a"} },
	} {
		for _, args := range [][]string{{"api"}, {"worker", "-Q", "a"}, {"--help"}, {}} {
			app := sampleApp(t)
			change(&app)
			_, err := execute(t, Program(app), args...)
			require.ErrorContains(t, err, want)
			_, err = execute(t, Command(app, config.Worker), args...)
			require.ErrorContains(t, err, want)
		}
	}
}

// TestATaskWithoutAHandler: a worker does not start with one, and names it.
func TestATaskWithoutAHandler(t *testing.T) {
	t.Parallel()
	app, err := newBareApp()
	require.NoError(t, err)
	app.Bind = nil
	cfg, err := app.Load(config.Worker, nil, []string{"PAIDUI_BROKER_URL=" + testenv.RedisURL(t), "PAIDUI_ADMIN_ADDR=127.0.0.1:0", "PAIDUI_LOG_LEVEL=error"})
	require.NoError(t, err)
	require.EqualError(t, Worker(t.Context(), app, cfg), `App.Bind: task "notes.add" has no handler`)
}

func TestMigrationsNeedADatabase(t *testing.T) {
	t.Parallel()
	app := sampleApp(t)
	for _, p := range []config.Program{config.API, config.Worker, config.Local} {
		cfg, err := app.Load(p, nil, []string{"PAIDUI_DATABASE_URL=", "PAIDUI_OPERATOR_KEY=" + operatorKey, "PAIDUI_HTTP_ADDR=127.0.0.1:0", "PAIDUI_ADMIN_ADDR=127.0.0.1:0"})
		require.NoError(t, err)
		run := map[config.Program]func(context.Context, App, config.Config) error{
			config.API: API, config.Worker: Worker,
			config.Local: func(ctx context.Context, app App, cfg config.Config) error { return Local(ctx, app, cfg, io.Discard) },
		}[p]
		require.EqualError(t, run(t.Context(), app, cfg), "PAIDUI_DATABASE_URL is set to nothing, and notes has tables: it needs a database")
	}
}

func TestMigrationsOfNoForm(t *testing.T) {
	app := sampleApp(t)
	t.Setenv("PAIDUI_DATABASE_URL", "sqlite://"+filepath.Join(t.TempDir(), "a.db"))
	app.Migrations = fstest.MapFS{"first.sql": {Data: []byte("-- +goose Up\n")}}
	_, err := execute(t, Program(app), "migrate")
	require.ErrorContains(t, err, "migrations")
}

// TestWhatAnApplicationOpens: its parts run beside the others, its checks count, and what it opened is closed, the last first.
func TestWhatAnApplicationOpens(t *testing.T) {
	t.Parallel()
	app, err := newBareApp()
	require.NoError(t, err)
	var closed []string
	ran := make(chan struct{})
	failing := errors.New("not yet")
	app.Open = func(ctx context.Context, h *Host) error {
		require.NotEmpty(t, h.URL)
		require.NotNil(t, h.Client)
		url, err := h.EmbeddedRedis(ctx, 5)
		require.NoError(t, err)
		require.True(t, strings.HasSuffix(url, "/5"), url)
		require.NoError(t, h.Await(ctx, "own store", func(context.Context) error { return nil }))
		h.Check("own", func(context.Context) error { return failing })
		h.Notes("own", func(context.Context) []string { return []string{"slow today"} })
		h.Close(func() error { closed = append(closed, "first"); return nil })
		h.Close(func() error { closed = append(closed, "second"); return nil })
		h.Run("own", func(ctx context.Context) error {
			close(ran)
			<-ctx.Done()
			return nil
		})
		return nil
	}
	cfg, err := app.Load(config.Local, nil, []string{
		"PAIDUI_HTTP_ADDR=127.0.0.1:0", "PAIDUI_ADMIN_ADDR=" + freeAddr(t), "PAIDUI_LOG_LEVEL=error", "PAIDUI_SHUTDOWN_DELAY=0s",
	})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- Local(ctx, app, cfg, io.Discard) }()
	select {
	case <-ran:
	case err := <-ended:
		require.NoError(t, err)
		t.Fatal("it ended")
	}
	testenv.Eventually(t, func() bool {
		resp, err := http.Get("http://" + cfg.AdminAddr + "/readyz")
		if err != nil {
			return false
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		return err == nil && resp.StatusCode == http.StatusServiceUnavailable &&
			strings.Contains(string(text), `"own":"not yet"`) && strings.Contains(string(text), "slow today")
	})
	cancel()
	require.NoError(t, <-ended)
	require.Equal(t, []string{"second", "first"}, closed)
}

// TestSchedulesOfAnApplication says which are in force.
func TestSchedulesOfAnApplication(t *testing.T) {
	app := App{Schedules: []byte("own"), SchedulesFile: "deploy/own.yaml"}
	t.Chdir(t.TempDir())
	var cfg config.Config
	which := func() [2]string {
		path, content, err := app.schedules(cfg)
		require.NoError(t, err)
		return [2]string{path, string(content)}
	}
	require.Equal(t, [2]string{"", "own"}, which())
	require.NoError(t, os.MkdirAll("deploy", 0o700))
	require.NoError(t, os.WriteFile("deploy/own.yaml", []byte("schedules: []"), 0o600))
	require.Equal(t, [2]string{"deploy/own.yaml", ""}, which())
	cfg.Schedules = "other.yaml"
	require.Equal(t, [2]string{"other.yaml", ""}, which(), "a file that is named has to exist")
	app, cfg = App{}, config.Config{}
	require.Equal(t, [2]string{"", string(DefaultSchedules(false))}, which())
	require.NotContains(t, which()[1], "history.prune")
	cfg.DatabaseURL = "sqlite://a.db"
	require.Contains(t, which()[1], "history.prune")
}

// TestTheCommandsOfAnApplication reads the --help of the whole program.
func TestTheCommandsOfAnApplication(t *testing.T) {
	out, err := execute(t, Program(sampleApp(t)), "--help")
	require.NoError(t, err)
	for _, command := range []string{"api", "worker", "scheduler", "local", "migrate", "seed", "health"} {
		require.Regexp(t, `(?m)^  `+command+` `, out)
	}
	for args, wants := range map[string][]string{
		"api":       {"NOTES_PREFIX", "what notes begin with [notes:]", "PAIDUI_HTTP_ADDR"},
		"worker":    {"PAIDUI_QUEUES", "[default,low,notes]"},
		"local":     {"sqlite://.notes/notes.db"},
		"migrate":   {"PAIDUI_DATABASE_URL", "--config", "--log-level"},
		"scheduler": {"PAIDUI_SCHEDULES"},
		"health":    {"PAIDUI_ADMIN_ADDR", "--ready"},
	} {
		out, err := execute(t, Program(sampleApp(t)), args, "--help")
		require.NoError(t, err)
		for _, want := range wants {
			require.Contains(t, strings.Join(strings.Fields(out), " "), strings.Join(strings.Fields(want), " "), args)
		}
	}
	_, err = execute(t, Program(sampleApp(t)), "worker", "-l", "loud")
	require.ErrorContains(t, err, "PAIDUI_LOG_LEVEL (log_level, --log-level)")
}
