package server

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

// ownPart is an application's part in a form unlike the API's: four spaces, quotes, an anchor.
const ownPart = `
# a comment
"openapi": "3.0.3"
info:
    title: Reports
    description: |
        Two lines:
        "quoted".
servers: [{url: /reports}]
tags: [{name: Reports}]
x-team: {name: ours}
paths:
    /v1/reports/:
        get: &read
            operationId: listReports
            parameters: [{name: "y", in: query, schema: {type: string, pattern: '^\d{4}$', enum: ["off", "1", "null"]}}]
            responses: {default: {$ref: "#/components/responses/Error"}}
components:
    schemas:
        Report: {type: object}
    examples:
        One: {value: 1}
`

func mapping(t *testing.T, raw []byte) map[string]any {
	t.Helper()
	var m map[string]any
	require.NoError(t, yaml.Unmarshal(raw, &m))
	return m
}

func TestContractsAreMerged(t *testing.T) {
	t.Parallel()
	same, err := MergeContracts(openapi, nil)
	require.NoError(t, err)
	require.Equal(t, string(openapi), string(same))

	raw, err := MergeContracts(openapi, []byte(ownPart))
	require.NoError(t, err)
	api, own, both := mapping(t, openapi), mapping(t, []byte(ownPart)), mapping(t, raw)
	in := func(m map[string]any, keys ...string) map[string]any {
		for _, key := range keys {
			m, _ = m[key].(map[string]any)
		}
		return m
	}
	for _, keys := range [][]string{{"paths"}, {"components", "schemas"}, {"components", "responses"}, {"components", "examples"}} {
		want := maps.Clone(in(own, keys...))
		if want == nil {
			want = map[string]any{}
		}
		maps.Copy(want, in(api, keys...))
		require.Equal(t, want, in(both, keys...), keys)
	}
	info := in(both, "info")
	require.Equal(t, []any{"Reports", "1"}, []any{info["title"], info["version"]})
	require.Equal(t, in(own, "info")["description"].(string)+"\n"+in(api, "info")["description"].(string), info["description"])
	require.Equal(t, []any{own["servers"], own["x-team"]}, []any{both["servers"], both["x-team"]})
	require.Equal(t, append(slices.Clone(own["tags"].([]any)), api["tags"].([]any)...), both["tags"])
	require.True(t, strings.HasPrefix(string(raw), "openapi: 3.0.3\n"), "it begins as the API's")
	again, err := MergeContracts(openapi, []byte(ownPart))
	require.NoError(t, err)
	require.Equal(t, string(raw), string(again))

	_, err = MergeContracts(raw, []byte(ownPart))
	for _, name := range []string{"x-team is the API's", "the path /v1/reports/", "the component schemas Report", "the component examples One"} {
		require.ErrorContains(t, err, name)
	}
}
