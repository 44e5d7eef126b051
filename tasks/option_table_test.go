package tasks

import (
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/tasks/broker"
)

// optionSamples has for each option a value, what it is when it's read back from the stored task ("" is the same), what it
// needs beside it, and values that are refused.
var optionSamples = map[string]struct {
	good, stored, beside string
	bad                  []string
}{
	"id":                {good: `"mine"`, bad: []string{`""`, `"a b"`, `"."`}},
	"queue":             {good: `"fast"`, bad: []string{`""`, `"-"`}},
	"priority":          {good: `"high"`, bad: []string{`"urgent"`, `1`}},
	"countdown":         {good: `"1m0s"`, stored: `"eta":"2026-11-21T14:16:16.123Z"`, bad: []string{`-1`, `"100000h"`, `true`}},
	"eta":               {good: `"2026-11-21T15:00:00Z"`, bad: []string{`"2226-11-21T15:00:00Z"`, `5`}},
	"expires":           {good: `"30m"`, stored: `"expires":"2026-11-21T14:45:16.123Z"`, bad: []string{`0`, `-1`, `"9000h"`, `"2020-01-01T00:00:00Z"`}},
	"max_retries":       {good: `7`, bad: []string{`-1`, `10001`, `"x"`}},
	"backoff":           {good: `{"base":"2s","cap":"1m0s","jitter":false}`, bad: []string{`{"base":-1,"cap":1}`, `{"base":2,"cap":1}`, `1`}},
	"timeout":           {good: `"1m0s"`, bad: []string{`0`, `"169h"`}},
	"hard_timeout":      {good: `"1h0m0s"`, bad: []string{`-1`, `"169h"`, `1`}},
	"max_crashes":       {good: `2`, bad: []string{`0`, `1001`}},
	"result_limit":      {good: `0`, bad: []string{`-1`, `1048577`}},
	"retention":         {good: `"2h0m0s"`, bad: []string{`-1`, `"8785h"`}},
	"unique_for":        {good: `"5s"`, bad: []string{`-1`, `"8785h"`}},
	"unique_until_done": {good: `true`, stored: `"unique_for":"8784h0m0s"`, bad: []string{`1`, `true,"unique_for":1`}},
	"unique_key":        {good: `"k"`, beside: `"throttle":"5s"`, bad: []string{`""`, `"k"`}},
	"throttle":          {good: `"5s"`, bad: []string{`-1`, `"8785h"`, `1,"unique_for":1`}},
	"debounce":          {good: `"5s"`, bad: []string{`-1`, `"8785h"`, `1,"throttle":1`, `1,"countdown":1`, `1,"id":"x"`, `1,"durable":true`}},
	"durable":           {good: `true`, bad: []string{`1`}},
	"history":           {good: `"meta"`, bad: []string{`"none"`}},
	"tags":              {good: `["a","每天"]`, bad: []string{`["a b"]`, `"a"`}},
	"headers":           {good: `{"a":"","b":"c"}`, bad: []string{`{"a b":""}`, `{"a":1}`}},
	"on_success":        {good: `[{"task":"test.plainer","args":{"text":"<x>"},"id":"then","queue":"q","countdown":"1s"}]`, bad: []string{`[{"task":"none"}]`, `[{"task":"test.plainer","args":{"text":""},"timeout":0}]`, `1`}},
	"on_failure":        {good: `[{"task":"test.post","args":{"text":""},"id":"else","queue":"q"}]`, stored: `"on_failure":[{"task":"test.post","args":{"text":""},"id":"else","queue":"q","max_retries":7,"tags":["post"]}]`, bad: []string{`[{"task":"test.post"}]`}},
}

// TestEachOptionTravels: from the JSON of a request to the stored task, and back.
func TestEachOptionTravels(t *testing.T) {
	t.Parallel()
	catalog, err := NewCatalog(plainer, post)
	require.NoError(t, err)
	store := func(text string) (*broker.Message, error) {
		given, err := DecodeOptions([]byte(text))
		if err != nil {
			return nil, err
		}
		opts, err := given.List(catalog)
		if err != nil {
			return nil, err
		}
		s := plainer.Signature(letter{}, opts...)
		client := &Client{now: func() time.Time { return testNow }}
		if _, err := client.message(t.Context(), s.name, s.payload, &s.options); err != nil {
			return nil, err
		}
		s = throughJSON(t, s)
		return client.message(t.Context(), s.name, s.payload, &s.options)
	}
	for _, row := range optionTable {
		if row.name == "" {
			continue
		}
		sample, ok := optionSamples[row.name]
		require.True(t, ok, "no sample of %s", row.name)
		given := `"` + row.name + `":` + sample.good
		want := given
		if sample.stored != "" {
			want = sample.stored
		}
		if sample.beside != "" {
			given, want = given+","+sample.beside, want+","+sample.beside
		}
		m, err := store("{" + given + "}")
		require.NoError(t, err, row.name)
		read, err := json.Marshal(readBack(t, m))
		require.NoError(t, err)
		if row.name == "durable" {
			want = "" // the message goes into an outbox instead
		}
		require.JSONEq(t, "{"+want+"}", string(read), row.name)
		if m.Debounce == 0 {
			again, err := json.Marshal(readBack(t, throughOutbox(t, m)))
			require.NoError(t, err)
			require.JSONEq(t, string(read), string(again), "%s through an outbox", row.name)
		}
		for _, bad := range sample.bad {
			_, err := store(`{"` + row.name + `":` + bad + `}`)
			var wrong *OptionError
			require.ErrorAs(t, err, &wrong, "%s: %s", row.name, bad)
			field, _, _ := strings.Cut(wrong.Field, "[")
			field, _, _ = strings.Cut(field, ".")
			require.Equal(t, row.name, field, bad)
		}
	}
}

// readBack is the options in their JSON form that a stored task tells of. IDs that were made are left out.
func readBack(t *testing.T, m *broker.Message) Options {
	t.Helper()
	stored := map[string]string{}
	for _, pair := range m.Headers {
		stored[pair.Key] = pair.Value
	}
	h := parseHeaders(stored)
	if h.hardTimeout == hardLimit(h.timeout, 0) {
		h.hardTimeout = 0
	}
	slices.SortFunc(h.user, func(a, b broker.Header) int { return strings.Compare(a.Key, b.Key) })
	o := options{
		runOptions: h.runOptions, priority: PriorityLevel(m.Priority), eta: h.eta.UTC(), expires: h.expires.UTC(),
		maxRetries: m.MaxRetry - crashAllowance, retention: m.Retention, uniqueFor: m.UniqueFor, throttle: m.Throttle, debounce: m.Debounce,
		extras: &extras{tags: h.tags, headers: h.user, uniqueKey: string(m.Key)},
	}
	require.Equal(t, h.tags, m.Tags)
	if m.Chosen {
		o.id = m.ID
	}
	j := o.json()
	if m.Queue != "default" {
		j.Queue = &m.Queue
	}
	j.OnSuccess, j.OnFailure = readCalls(t, h.onSuccess), readCalls(t, h.onFailure)
	return j
}

func readCalls(t *testing.T, text string) (calls []Call) {
	t.Helper()
	signatures, err := decodeCalls(text)
	require.NoError(t, err)
	for _, s := range signatures {
		call := Call{Task: s.name, Args: s.payload, Options: s.options.json()}
		call.Queue = &s.options.queue
		if len(s.options.extra().onFailure) > 0 { // the definition's
			call.OnFailure = nil
		}
		calls = append(calls, call)
	}
	return calls
}

func throughOutbox(t *testing.T, m *broker.Message) *broker.Message {
	t.Helper()
	raw, err := json.Marshal(newOutboxMessage(m))
	require.NoError(t, err)
	var read OutboxMessage
	require.NoError(t, json.Unmarshal(raw, &read))
	return read.message
}

// TestDocsHaveEachOption holds the table of the documentation against the options.
func TestDocsHaveEachOption(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../deploy/docs/tasks.md")
	require.NoError(t, err)
	_, table, found := strings.Cut(string(text), "| Option | JSON | Bounds | Unless given |\n| --- | --- | --- | --- |\n")
	require.True(t, found)
	table, _, _ = strings.Cut(table, "\n\n")
	var want []string
	for _, row := range optionTable {
		d := row.doc
		want = append(want, "| "+strings.Join([]string{d.call, d.json, d.bounds, d.standard}, " | ")+" |")
		if row.name != "" {
			require.True(t, strings.HasPrefix(d.json, "`"+row.name+"`"), row.name)
		}
	}
	require.Equal(t, strings.Join(want, "\n"), table)
}

// TestScheduleOptions: what one tick cannot have for itself is for no schedule.
func TestScheduleOptions(t *testing.T) {
	t.Parallel()
	names := ScheduleOptions()
	for _, row := range optionTable {
		ownOfTicks := slices.Contains([]string{"", "id", "queue", "countdown", "eta", "debounce"}, row.name)
		require.Equal(t, !ownOfTicks, slices.Contains(names, row.name), row.name)
	}
}
