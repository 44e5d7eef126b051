package newapp_test

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/deploy/newapp"
	"github.com/paidui/paidui/deploy/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// contents are the files below a folder, by their paths; those that go mod tidy writes are left out.
func contents(t *testing.T, dir string) map[string]string {
	t.Helper()
	found := make(map[string]string)
	require.NoError(t, filepath.WalkDir(dir, func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		relative, err := filepath.Rel(dir, name)
		require.NoError(t, err)
		text, err := os.ReadFile(name)
		require.NoError(t, err)
		if relative != "go.mod" && relative != "go.sum" {
			found[relative] = string(text)
		}
		return nil
	}))
	return found
}

// TestTheExampleIsWhatNewAppWrites: so the tests that build and run the example are about both.
func TestTheExampleIsWhatNewAppWrites(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "reports")
	require.NoError(t, newapp.Write(dir, newapp.Options{Name: "reports", Module: "example.com/reports", Replace: "../../.."}))
	written := contents(t, dir)
	require.Len(t, written, 11)
	require.Equal(t, written, contents(t, filepath.Join("..", "examples", "reports")),
		"write deploy/examples/reports anew: bin/paidui new-app --module example.com/reports --replace ../../..")
	module, err := os.ReadFile(filepath.Join(dir, "go.mod"))
	require.NoError(t, err)
	require.Equal(t, "module example.com/reports\n\ngo 1.26\n\nrequire github.com/paidui/paidui v0.0.0\n\nreplace github.com/paidui/paidui => ../../..\n", string(module))
}

func TestNewAppRefuses(t *testing.T) {
	t.Parallel()
	full := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(full, "a"), nil, 0o600))
	empty := t.TempDir()
	for name, c := range map[string]struct {
		dir  string
		opt  newapp.Options
		want string
	}{
		"a name":   {empty, newapp.Options{Name: "My App"}, `"My App" is no name of a program`},
		"a module": {empty, newapp.Options{Name: "app", Module: "example.com/a b"}, `"example.com/a b" is no path of a module`},
		"a folder": {full, newapp.Options{Name: "app"}, full + " is not empty"},
	} {
		t.Run(name, func(t *testing.T) {
			require.ErrorContains(t, newapp.Write(c.dir, c.opt), c.want)
		})
	}
	left, err := os.ReadDir(empty)
	require.NoError(t, err)
	require.Empty(t, left, "nothing is written")
}

func TestNewAppCommand(t *testing.T) {
	t.Parallel()
	run := func(version string, args ...string) (string, error) {
		cmd := newapp.Command(version)
		var out bytes.Buffer
		cmd.SetOut(&out)
		cmd.SetErr(&out)
		cmd.SetArgs(args)
		err := cmd.ExecuteContext(t.Context())
		return out.String(), err
	}
	_, err := run("v1.2.3-4-gabcdef", filepath.Join(t.TempDir(), "reports"))
	require.ErrorContains(t, err, "--replace", "nobody else can get this version")
	_, err = run("dev", "--replace", t.TempDir(), filepath.Join(t.TempDir(), "reports"))
	require.ErrorContains(t, err, "holds no Go module")
	_, err = run("dev")
	require.ErrorContains(t, err, "accepts 1 arg")

	dir := filepath.Join(t.TempDir(), "parcels")
	out, err := run("dev", "--module", "example.com/parcels", "--replace", "../..", dir)
	require.NoError(t, err)
	require.Contains(t, out, "Next: cd "+dir)
	module, err := os.ReadFile(filepath.Join(dir, "go.mod"))
	require.NoError(t, err)
	root, err := filepath.Abs("../..")
	require.NoError(t, err)
	require.Contains(t, string(module), "replace github.com/paidui/paidui => "+root)
	require.Contains(t, string(module), "gorm.io/gorm ", "go mod tidy has run")
	for name, text := range contents(t, dir) {
		require.NotContains(t, text, "{{", name)
		require.False(t, strings.HasSuffix(name, ".tmpl"), name)
	}
}
