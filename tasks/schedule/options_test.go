package schedule

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/tasks"
	"github.com/paidui/paidui/tasks/taskstest"
)

var late = tasks.Define[noArgs, int]("test.late", tasks.Debounce(time.Minute))

func loadWith(t testing.TB, text string) (*Schedule, error) {
	t.Helper()
	c, err := tasks.NewCatalog(sum, noop, late)
	require.NoError(t, err)
	return Reader{Catalog: c}.Read("s.yaml", []byte(text))
}

func TestAnEntryHasOptions(t *testing.T) {
	t.Parallel()
	s, err := loadWith(t, `schedules:
  - name: all
    task: test.sum
    args: {n: 1, m: 2}
    every: 10s
    priority: high
    expires: 30m
    max_retries: 1
    backoff: {base: 1s, cap: 1m, jitter: false}
    timeout: 60
    hard_timeout: 90s
    max_crashes: 2
    result_limit: 1000
    retention: 720h
    unique_until_done: true
    unique_key: all
    history: meta
    tags: [a, 每天]
    headers: {tenant: t1}
    on_success:
      - task: test.noop
        countdown: 5s
    on_failure:
      - {task: test.sum, args: {n: 3, m: 4}, queue: low}
`)
	require.NoError(t, err)
	e := s.entries[0]
	require.Equal(t, 720*time.Hour, e.Options.Retention)
	require.Equal(t, `{"priority":"high","expires":"30m0s","max_retries":1,"backoff":{"base":"1s","cap":"1m0s","jitter":false},`+
		`"timeout":"1m0s","hard_timeout":"1m30s","max_crashes":2,"result_limit":1000,"unique_until_done":true,"unique_key":"all",`+
		`"retention":"720h0m0s","history":"meta","tags":["a","每天"],"headers":{"tenant":"t1"},`+
		`"on_success":[{"task":"test.noop","countdown":"5s"}],"on_failure":[{"task":"test.sum","args":{"m":4,"n":3},"queue":"low"}]}`,
		string(e.Options.canonical), "the hash of the schedule is made of it: schedulers of other builds have to agree")
	client := tasks.NewClient(taskstest.Embedded(t))
	id, err := e.Task.EnqueueJSON(t.Context(), client, e.Args, append(e.Options.List, tasks.ID("x"))...)
	require.NoError(t, err)
	info, err := client.Info(t.Context(), id)
	require.NoError(t, err)
	require.Equal(t, 1, info.MaxRetries)
	require.Equal(t, info.EnqueuedAt.Add(30*time.Minute), *info.Expires)
}

func TestTheHashIsOfTheOptions(t *testing.T) {
	t.Parallel()
	hash := func(options string) string {
		s, err := loadWith(t, "schedules:\n  - {name: a, task: test.noop, every: 5s"+options+"}")
		require.NoError(t, err)
		return s.hash
	}
	require.Equal(t, hash(", timeout: 60"), hash(", timeout: 1m"))
	require.NotEqual(t, hash(""), hash(", timeout: 60"))
	require.NotEqual(t, hash(", tags: [a]"), hash(", tags: [b]"))
}

func TestEntriesFollowRoutes(t *testing.T) {
	t.Parallel()
	client := tasks.NewClient(taskstest.Embedded(t), tasks.ClientOptions{Routes: tasks.Routes{{Pattern: "test.*", Queue: "fast"}}})
	text := []byte("schedules:\n  - {name: a, task: test.sum, args: {n: 1, m: 2}, every: 5s}\n  - {name: b, task: test.noop, every: 5s, queue: low}")
	s, err := ReaderOf(catalog(t), client, nil).Read("s.yaml", text)
	require.NoError(t, err)
	require.Equal(t, []string{"fast", "low"}, []string{s.entries[0].Queue, s.entries[1].Queue})
}

func TestOptionsOfEntriesAreHeldToTheirRules(t *testing.T) {
	t.Parallel()
	const entry = "schedules:\n  - name: a\n    task: test.sum\n    args: {n: 1, m: 2}\n    every: 5s\n"
	for name, c := range map[string]struct{ text, want string }{
		"a level":          {entry + "    priority: urgent\n", "line 6: priority: want high, normal or low"},
		"a duration":       {entry + "    retention: 1h\n    timeout: soon\n", "line 7: timeout: want a number of seconds"},
		"a range":          {entry + "    timeout: -5\n", "line 6: timeout: -5s is not between"},
		"a century":        {entry + "    retention: 876000h\n", "line 6: retention: "},
		"no value":         {entry + "    tags:\n", "line 6: tags: has no value"},
		"an infinite":      {entry + "    timeout: .inf\n", "line 6: timeout: .inf cannot be a value"},
		"an id":            {entry + "    id: x\n", `line 6: unknown key "id"`},
		"a debounce":       {entry + "    debounce: 5s\n", `line 6: unknown key "debounce"`},
		"a tag":            {entry + "    tags:\n      - a\n      - 1\n", "line 8: tags[1]: wants a string"},
		"a bad tag":        {entry + "    tags: [a b]\n", "line 6: tags: "},
		"a header":         {entry + "    headers:\n      a: x\n      b: 1\n", "line 8: headers.b: wants a string"},
		"backoff":          {entry + "    backoff:\n      base: 1s\n      cap: never\n", "line 8: backoff.cap: want a number"},
		"two at once":      {entry + "    unique_for: 5s\n    throttle: 5s\n", "line 7: throttle: excludes unique_for"},
		"a time":           {entry + "    expires: 2030-01-01T00:00:00Z\n", "line 6: expires: want a duration"},
		"a callback":       {entry + "    on_success:\n      - task: test.noop\n      - task: test.none\n", "line 8: on_success[1].task: there is no task"},
		"its option":       {entry + "    on_failure:\n      - task: test.noop\n        timeout: 0\n", "line 8: on_failure[0].timeout: "},
		"its arguments":    {entry + "    on_success:\n      - task: test.sum\n        args:\n          n: 1\n          m: x\n", "line 10: on_success[0].args.m: "},
		"its unknown key":  {entry + "    on_success:\n      - task: test.noop\n        colour: red\n", "line 8: on_success[0].colour: unknown option"},
		"its id":           {entry + "    on_success:\n      - {task: test.noop, id: x}\n", "line 7: on_success[0].id: would be the same"},
		"its eta":          {entry + "    on_success:\n      - task: test.noop\n        eta: 2030-01-01T00:00:00Z\n", "line 8: on_success[0].eta: "},
		"the definition's": {"schedules:\n  - name: a\n    task: test.late\n    every: 5s\n", "line 2: debounce: excludes a chosen id"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := loadWith(t, c.text)
			require.ErrorContains(t, strip(err), c.want)
		})
	}
}
