package newtask_test

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/deploy/ctl/newtask"
	"github.com/paidui/paidui/deploy/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

func read(t *testing.T, parts ...string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(parts...))
	require.NoError(t, err)
	return string(text)
}

func write(t *testing.T, text string, parts ...string) {
	t.Helper()
	name := filepath.Join(parts...)
	require.NoError(t, os.MkdirAll(filepath.Dir(name), 0o755))
	require.NoError(t, os.WriteFile(name, []byte(text), 0o644))
}

func command(t *testing.T, dir string, env []string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), args[0], args[1:]...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), env...)
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%v in %s:\n%s", args, dir, out)
	return string(out)
}

// TestInThisRepository writes two tasks of one room over a copy of the catalog, and has Go build them in the place where they
// belong.
func TestInThisRepository(t *testing.T) {
	t.Parallel()
	root, err := filepath.Abs("../../..")
	require.NoError(t, err)
	copied := t.TempDir()
	write(t, read(t, root, "go.mod"), copied, "go.mod")
	sources, err := filepath.Glob(filepath.Join(root, "tasks", "catalog", "*.go"))
	require.NoError(t, err)
	for _, name := range sources {
		write(t, read(t, name), copied, "tasks", "catalog", filepath.Base(name))
	}

	done, err := newtask.Write(copied, "invoices.daily")
	require.NoError(t, err)
	require.Equal(t, newtask.Done{
		Module: copied, Written: []string{"tasks/invoices/daily.go", "tasks/invoices/daily_test.go"}, Changed: []string{"tasks/catalog/catalog.go"},
		Test: []string{"./tasks/catalog", "./tasks/invoices"},
	}, done)
	_, err = newtask.Write(filepath.Join(copied, "tasks"), "invoices.month-end_linux") // from within
	require.NoError(t, err)
	catalog := read(t, copied, "tasks", "catalog", "catalog.go")
	for _, want := range []string{
		"\t\"github.com/paidui/paidui/tasks/history\"\n\t\"github.com/paidui/paidui/tasks/invoices\"\n",
		"\t\tqueues.Check,\n\t\tinvoices.Daily,\n\t\tinvoices.MonthEndLinux,\n\t)\n",
		"\tqueues.Bind(m, d.Client)\n\tinvoices.Bind(m)\n\tinvoices.BindMonthEndLinux(m)\n}\n",
	} {
		require.Contains(t, catalog, want)
	}

	overlay := make(map[string]string)
	for _, folder := range []string{"catalog", "invoices"} {
		names, err := filepath.Glob(filepath.Join(copied, "tasks", folder, "*.go"))
		require.NoError(t, err)
		for _, name := range names {
			overlay[filepath.Join(root, "tasks", folder, filepath.Base(name))] = name
		}
	}
	encoded, err := json.Marshal(map[string]any{"Replace": overlay})
	require.NoError(t, err)
	file := filepath.Join(copied, "overlay.json")
	require.NoError(t, os.WriteFile(file, encoded, 0o600))
	for folder, tests := range map[string][]string{"invoices": {"TestDaily", "TestMonthEndLinux"}, "catalog": {"TestEveryTaskHasItsHandler"}} {
		// vet, and a run by go test, want the folder to be there; in a module of one's own they are run on the same templates.
		bin := filepath.Join(copied, folder+".test")
		command(t, root, nil, "go", "test", "-vet=off", "-c", "-overlay", file, "-o", bin, "./tasks/"+folder)
		out := command(t, copied, nil, bin, "-test.v", "-test.run", "^("+strings.Join(tests, "|")+")$")
		for _, name := range tests {
			require.Contains(t, out, "--- PASS: "+name+" ")
		}
	}
	require.Empty(t, command(t, copied, nil, "gofmt", "-l", "tasks"))
}

// TestInAModuleOfOnesOwn writes a task into what new-app writes.
func TestInAModuleOfOnesOwn(t *testing.T) {
	t.Parallel()
	example, err := filepath.Abs("../../examples/reports")
	require.NoError(t, err)
	root, err := filepath.Abs("../../..")
	require.NoError(t, err)
	dir := t.TempDir()
	require.NoError(t, os.CopyFS(dir, os.DirFS(example)))
	write(t, strings.Replace(read(t, dir, "go.mod"), "../../..", root, 1), dir, "go.mod")
	cmd := newtask.Command()
	var out bytes.Buffer
	cmd.SetOut(&out)
	cmd.SetArgs([]string{"report.send", "--dir", dir})
	require.NoError(t, cmd.ExecuteContext(t.Context()))
	require.Equal(t, "wrote    report_send.go\nwrote    report_send_test.go\nchanged  app.go\nchanged  report.go\nNext: go test .\n", out.String())
	require.Contains(t, read(t, dir, "app.go"), "tasks.NewCatalog(MakeReport, ReportSend) // name each definition here\n")
	require.Contains(t, read(t, dir, "report.go"), "\tbindReportSend(m)\n}\n")
	require.Contains(t, command(t, dir, []string{"GOFLAGS="}, "go", "test", "-count=1", "-v", "-run", "TestReportSend|TestAReportIsMadeOnce", "."), "--- PASS: TestReportSend ")
	command(t, dir, []string{"GOFLAGS="}, "go", "vet", ".")
	require.Empty(t, command(t, dir, nil, "gofmt", "-l", "."))
}

const ownProgram = `package main

import "github.com/paidui/paidui/tasks"

func main() {
	catalog, err := tasks.NewCatalog()
	_, _ = catalog, err
	run(func(m *tasks.Mux) {})
}

func run(bind func(m *tasks.Mux)) { bind(nil) }
`

// TestShapesOfPrograms are others than new-app's.
func TestShapesOfPrograms(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		program string
		want    []string // of main.go
		left    []string
	}{
		"empty": {ownProgram, []string{"tasks.NewCatalog(ReportsDaily)", "\tbindReportsDaily(m)\n"}, nil},
		"a handler in place": {
			strings.Replace(ownProgram, "{})", "{ tasks.Handle(m, Hello, hello) })", 1),
			[]string{"tasks.Handle(m, Hello, hello)\n\t\tbindReportsDaily(m)\n"}, nil,
		},
		"another name of the import": {
			strings.ReplaceAll(strings.Replace(ownProgram, `import "`, `import q "`, 1), "tasks.", "q."), []string{"q.NewCatalog(ReportsDaily)"}, nil,
		},
		"one a line": {strings.Replace(ownProgram, "NewCatalog()", "NewCatalog(\n\t\tHello, // the first\n\t)", 1), []string{"\t\tHello,\n\t\tReportsDaily, // the first\n"}, nil},
		"a list": {
			strings.Replace(ownProgram, "NewCatalog()", "NewCatalog(all...)", 1), []string{"bindReportsDaily(m)"},
			[]string{"name ReportsDaily in the one call of tasks.NewCatalog of the program"},
		},
		"no mux": {
			strings.Replace(ownProgram, "run(func(m *tasks.Mux) {})", "", 1), []string{"NewCatalog(ReportsDaily)"},
			[]string{"call bindReportsDaily(mux) where the program gives its mux the handlers"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			write(t, "module example.com/own\n", dir, "go.mod")
			write(t, c.program, dir, "main.go")
			done, err := newtask.Write(dir, "reports.daily")
			require.NoError(t, err)
			require.Equal(t, c.left, done.Left)
			for _, want := range c.want {
				require.Contains(t, read(t, dir, "main.go"), want)
			}
		})
	}
}

func TestNothingIsOverwritten(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		task  string
		files map[string]string
		says  string
	}{
		"a file":         {"reports.daily", map[string]string{"reports_daily_test.go": "package main\n"}, "reports_daily_test.go is there already: nothing is overwritten"},
		"an identifier":  {"reports.daily", map[string]string{"x.go": "package main\n\ntype ReportsDailyArgs int\n"}, "declares ReportsDailyArgs already"},
		"a task":         {"reports.daily", map[string]string{"x.go": "package main\n\nvar x = \"reports.daily\"\n"}, "there is a task reports.daily already, in "},
		"broken source":  {"reports.daily", map[string]string{"x.go": "package main\n\nfunc {\n"}, "it must compile first"},
		"another folder": {"broker.daily", map[string]string{"tasks/catalog/catalog.go": "package catalog\n", "tasks/broker/b.go": "package broker\n"}, "is no room of tasks"},
		"another import": {"redis.daily", map[string]string{"tasks/catalog/catalog.go": "package catalog\n\nimport \"example.com/redis\"\n"}, "imports example.com/redis by that name"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			write(t, "module example.com/own\n", dir, "go.mod")
			write(t, ownProgram, dir, "main.go")
			for name, text := range c.files {
				write(t, text, dir, name)
			}
			_, err := newtask.Write(dir, c.task)
			require.ErrorContains(t, err, c.says)
			require.Equal(t, ownProgram, read(t, dir, "main.go"))
			var left []string
			for _, pattern := range []string{"*.go", "*/*/*.go"} {
				names, err := filepath.Glob(filepath.Join(dir, pattern))
				require.NoError(t, err)
				left = append(left, names...)
			}
			require.Len(t, left, len(c.files)+1, "nothing is left of it")
		})
	}
}

func TestNamesAndFolders(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, name := range []string{
		"", "daily", "Reports.daily", "reports.", ".daily", "reports..daily", "reports.Daily", "reports.da ily", "reports.-x", "1reports.daily", "re-ports.daily", "../x.daily",
		"func.daily", "main.daily", "internal.x", "catalog.x", "reportstest.x", "reports." + strings.Repeat("a", 64),
	} {
		_, err := newtask.Write(dir, name)
		require.Error(t, err, name)
		var status interface{ ExitStatus() int }
		require.ErrorAs(t, err, &status, name)
		require.Equal(t, 2, status.ExitStatus(), name)
	}
	_, err := newtask.Write(dir, "reports.daily")
	require.ErrorContains(t, err, "is in no Go module")
	_, err = newtask.Write(filepath.Join(dir, "nowhere"), "reports.daily")
	require.ErrorContains(t, err, "--dir")
	write(t, "module example.com/own\n", dir, "go.mod")
	_, err = newtask.Write(dir, "reports.daily")
	require.ErrorContains(t, err, "has no Go files")
}
