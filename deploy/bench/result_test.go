package main

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTargets(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		target  target
		got     measurement
		verdict string
	}{
		{ratioAtLeast(3), measurement{300, 100}, "met"},
		{ratioAtLeast(3), measurement{299, 100}, "NOT MET"},
		{ratioAtLeast(0.9), measurement{value: 1}, "NOT MET"}, // nothing to compare with
		{atMost(5), measurement{value: 5}, "met"},
		{atMost(0), measurement{value: 1}, "NOT MET"},
		{both(atLeast(10), ratioAtLeast(4)), measurement{12, 3}, "met"},
		{both(atLeast(10), ratioAtLeast(4)), measurement{8, 2}, "NOT MET"},
		{both(atLeast(10), ratioAtLeast(4)), measurement{12, 4}, "NOT MET"},
		{noTarget(), measurement{1, 1}, "-"},
	} {
		require.Equal(t, c.verdict, newResult(metric{target: c.target}, c.got).verdict(), "%s %+v", c.target.text, c.got)
	}
}

func TestTable(t *testing.T) {
	t.Parallel()
	list := []result{
		newResult(metric{"run", "tasks/s", ratioAtLeast(3)}, measurement{50_000, 12_500}),
		newResult(metric{"pickup", "ms", atMost(1)}, measurement{0.3456, 900}),
		newResult(metric{"herd", "commands/task", noTarget()}, measurement{value: 23.04}),
	}
	list[0].Peers = map[string]float64{"celery": 1600, "bullmq": 26000}
	list[1].Peers = map[string]float64{"celery": 2.8}
	var out strings.Builder
	require.NoError(t, writeTable(&out, list))
	require.Equal(t, strings.Join([]string{
		"NAME    UNIT           VALUE  BASELINE  RATIO    TARGET   MET  BULLMQ  CELERY",
		"run     tasks/s        50000  12500     4.00×    ≥ 3.00×  met  26000   1600",
		"pickup  ms             0.35   900       0.0004×  ≤ 1      met  -       2.80",
		"herd    commands/task  23.0   -         -        -        -    -       -",
		"",
	}, "\n"), out.String())

	text, err := json.Marshal(list)
	require.NoError(t, err)
	require.JSONEq(t, `[
		{"name":"run","unit":"tasks/s","value":50000,"baseline":12500,"ratio":4,"target":"≥ 3.00×","met":true,"peers":{"celery":1600,"bullmq":26000}},
		{"name":"pickup","unit":"ms","value":0.3456,"baseline":900,"ratio":0.000384,"target":"≤ 1","met":true,"peers":{"celery":2.8}},
		{"name":"herd","unit":"commands/task","value":23.04,"baseline":null,"ratio":null,"target":"","met":null}
	]`, string(text))
}
