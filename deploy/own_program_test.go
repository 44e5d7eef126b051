package deploy_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// fenced are the blocks of a language in a document, by their order.
func fenced(t *testing.T, file, language string) []string {
	t.Helper()
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	var blocks []string
	for _, found := range regexp.MustCompile("(?s)```"+language+"\n(.*?)```").FindAllStringSubmatch(string(text), -1) {
		blocks = append(blocks, found[1])
	}
	return blocks
}

// buildOwn builds a program in a module of its own, which has this one by a path, and nothing from the network.
func buildOwn(t *testing.T, files map[string]string) (program string) {
	t.Helper()
	folder := t.TempDir()
	here, err := filepath.Abs("..")
	require.NoError(t, err)
	ours, err := os.ReadFile("../go.mod")
	require.NoError(t, err)
	sums, err := os.ReadFile("../go.sum")
	require.NoError(t, err)
	files["go.mod"] = strings.Replace(string(ours), "module "+module, "module example.com/own", 1) +
		"\nrequire " + module + " v0.0.0\n\nreplace " + module + " => " + here + "\n"
	files["go.sum"] = string(sums)
	for name, content := range files {
		require.NoError(t, os.MkdirAll(filepath.Join(folder, filepath.Dir(name)), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(folder, name), []byte(content), 0o644))
	}
	program = filepath.Join(folder, "own")
	cmd := exec.Command("go", "build", "-mod=mod", "-o", program, ".")
	cmd.Dir = folder
	cmd.Env = append(os.Environ(), "GOFLAGS=", "GOPROXY=off", "GOWORK=off")
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	return program
}

// runOwn runs a command of the program in its folder.
func runOwn(t *testing.T, program string, args ...string) string {
	t.Helper()
	cmd := exec.Command(program, args...)
	cmd.Dir = filepath.Dir(program)
	cmd.Env = append(os.Environ(), "PAIDUI_DATABASE_URL=sqlite://own.db")
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	return string(out)
}

// TestTheProgramOfTheDocs builds what docs/own-program.md has one write, and has it make its tables.
func TestTheProgramOfTheDocs(t *testing.T) {
	t.Parallel()
	code, tables := fenced(t, "docs/own-program.md", "go"), fenced(t, "docs/own-program.md", "sql")
	program := buildOwn(t, map[string]string{
		"tasks.go": code[0], "routes.go": code[1], "main.go": code[2],
		"migrations/mysql/00001_reports.sql": tables[0], "migrations/sqlite/00001_reports.sql": tables[1],
		"schedules.yaml": fenced(t, "docs/own-program.md", "yaml")[0],
	})
	require.Contains(t, runOwn(t, program, "migrate"), "the database is up to date")
	help := runOwn(t, program, "worker", "--help")
	require.Contains(t, help, "REPORTS_PREFIX")
	require.Contains(t, help, "[default,low,reports]")
	require.NotContains(t, help, "PAIDUI_SMS", "the shop is another program")
}

// TestTheProgramOfTheFirstPage does so with README's.
func TestTheProgramOfTheFirstPage(t *testing.T) {
	t.Parallel()
	for _, page := range []string{"../README.md", "../README.zh.md"} {
		var programs []string
		for _, block := range fenced(t, page, "go") {
			if strings.HasPrefix(block, "package main") {
				programs = append(programs, block)
			}
		}
		require.Len(t, programs, 1, page)
		if page == "../README.md" {
			require.Contains(t, runOwn(t, buildOwn(t, map[string]string{"main.go": programs[0]}), "migrate"), "the database is up to date")
		}
	}
}
