package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// results reads what --json has written.
func results(t *testing.T, file string) map[string]result {
	t.Helper()
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	var list []result
	require.NoError(t, json.Unmarshal(text, &list))
	byName := make(map[string]result)
	for _, r := range list {
		byName[r.Name] = r
	}
	return byName
}

// TestQuick measures for real.
func TestQuick(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	file, profile := filepath.Join(t.TempDir(), "result.json"), filepath.Join(t.TempDir(), "cpu")
	cmd := command()
	var out, progress bytes.Buffer
	cmd.SetOut(&out)
	cmd.SetErr(&progress)
	cmd.SetArgs([]string{"--quick", "--only", "enqueue", "--json", file, "--cpuprofile", profile})
	require.NoError(t, cmd.ExecuteContext(t.Context()), progress.String())

	require.Contains(t, out.String(), "enqueue")
	require.Contains(t, progress.String(), "[1/1] enqueue")
	got := results(t, file)
	require.Len(t, got, 1)
	require.Positive(t, got["enqueue"].Value)
	require.InEpsilon(t, got["enqueue"].Value / *got["enqueue"].Baseline, *got["enqueue"].Ratio, 1e-9)
	require.FileExists(t, profile)
	left, err := filepath.Glob(filepath.Join(os.Getenv("TMPDIR"), "paidui-*"))
	require.NoError(t, err)
	require.Empty(t, left)
}

// TestRolesRun starts processes as rows do.
func TestRolesRun(t *testing.T) {
	t.Setenv(asProgram, "1")
	profile := filepath.Join(t.TempDir(), "cpu")
	l, err := newLab(options{logLevel: "error", cpuprofile: profile})
	require.NoError(t, err)
	defer func() { require.NoError(t, l.close()) }()

	echo, err := l.startEcho(t.Context())
	require.NoError(t, err)
	resident, err := echo.memory("VmRSS")
	require.NoError(t, err)
	require.Greater(t, resident, 1.0)

	_, err = withQueue(t.Context(), l, openPaidui, withoutResult, func(q queue) (float64, error) {
		require.NoError(t, fill(t.Context(), q, 500))
		return l.runInProcesses(t.Context(), 2, 500)
	})
	require.NoError(t, err)
	l.endRow()
	for _, name := range []string{"echo-1", "noop-2", "noop-3"} {
		require.FileExists(t, profile+"."+name)
	}
}

// TestRowsThatFail checks that the others run nevertheless, and that an end from outside is no failure.
func TestRowsThatFail(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	broken := errors.New("no disk")
	fine := one("fine", "s", noTarget(), "", func(context.Context, *lab) (measurement, error) { return measurement{value: 1}, nil })
	fails := one("fails", "s", noTarget(), "", func(context.Context, *lab) (measurement, error) { return measurement{}, broken })
	var out, progress bytes.Buffer
	err := bench(t.Context(), []row{fails, fine}, options{logLevel: "error"}, &out, &progress)
	require.ErrorIs(t, err, broken)
	require.ErrorContains(t, err, "fails: ")
	require.Contains(t, out.String(), "fine")
	require.NotContains(t, out.String(), "fails")

	ctx, cancel := context.WithCancel(t.Context())
	ends := one("ends", "s", noTarget(), "", func(context.Context, *lab) (measurement, error) {
		cancel()
		return measurement{}, broken
	})
	err = bench(ctx, []row{ends, fails}, options{logLevel: "error"}, &out, &progress)
	require.ErrorIs(t, err, context.Canceled)
	require.NotErrorIs(t, err, broken)
	left, err := filepath.Glob(filepath.Join(os.Getenv("TMPDIR"), "paidui-*"))
	require.NoError(t, err)
	require.Empty(t, left)
}
