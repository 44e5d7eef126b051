package main

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"
)

func names(list []row) (all []string) {
	for _, r := range list {
		all = append(all, r.name)
	}
	return all
}

func TestChoose(t *testing.T) {
	t.Parallel()
	all := []row{{name: "a"}, {name: "b"}, {name: "c"}}
	for _, c := range []struct{ only, want []string }{
		{nil, []string{"a", "b", "c"}},
		{[]string{"c", " a"}, []string{"a", "c"}},
		{[]string{"b", "b"}, []string{"b"}},
	} {
		got, err := choose(all, c.only)
		require.NoError(t, err)
		require.Equal(t, c.want, names(got))
	}
	_, err := choose(all, []string{"a", "x", "y"})
	require.ErrorContains(t, err, `no row "x"; the rows are a, b, c`)
	require.ErrorContains(t, err, `no row "y"`)
}

func TestRowsHaveNamesOfTheirOwn(t *testing.T) {
	t.Parallel()
	rowNames, metricNames := map[string]bool{}, map[string]bool{}
	for _, r := range rows() {
		require.False(t, rowNames[r.name], r.name)
		rowNames[r.name] = true
		require.NotEmpty(t, r.about)
		require.NotNil(t, r.measure)
		for _, m := range r.metrics {
			require.False(t, metricNames[m.name], m.name)
			metricNames[m.name] = true
			require.NotEmpty(t, m.unit)
		}
	}
}

func TestCommandLine(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		args []string
		err  string
	}{
		{[]string{"--only", "nope"}, `no row "nope"`},
		{[]string{"--only", "run", "--log-level", "loud"}, "--log-level"},
		{[]string{"--fast"}, "unknown flag"},
		{[]string{"run"}, "unknown command"},
		{[]string{"--cpuprofile", "/no/such/folder/cpu", "--only", "run"}, "--cpuprofile"},
	} {
		cmd := command()
		cmd.SetArgs(c.args)
		require.ErrorContains(t, cmd.ExecuteContext(t.Context()), c.err, c.args)
	}

	cmd := command()
	var help bytes.Buffer
	cmd.SetOut(&help)
	cmd.SetArgs([]string{"--help"})
	require.NoError(t, cmd.ExecuteContext(t.Context()))
	for _, r := range rows() {
		require.Contains(t, help.String(), "  "+r.name+" ")
	}
	require.NotContains(t, help.String(), roleNoop+" ")
}
