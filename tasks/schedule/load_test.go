package schedule

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/tasks"
)

type sumArgs struct {
	N    int            `json:"n"`
	M    int            `json:"m"`
	Deep map[string]any `json:"deep,omitempty"`
}

type noArgs struct{}

var (
	sum  = tasks.Define[sumArgs, int]("test.sum", tasks.Queue("sums"))
	noop = tasks.Define[noArgs, int]("test.noop")
)

func catalog(t testing.TB) *tasks.Catalog {
	t.Helper()
	c, err := tasks.NewCatalog(sum, noop)
	require.NoError(t, err)
	return c
}

func load(t testing.TB, text string) (*Schedule, error) {
	t.Helper()
	return Reader{Catalog: catalog(t)}.Read("s.yaml", []byte(text))
}

func TestLoad(t *testing.T) {
	t.Parallel()
	shanghai := zone(t, "Asia/Shanghai")
	path := filepath.Join(t.TempDir(), "schedules.yaml")
	require.NoError(t, os.WriteFile(path, []byte(`
timezone: Europe/Berlin # of all entries
schedules:
  - name: weekly
    task: test.sum
    args: {n: 33, m: 66, deep: {list: [1, 2.5, "x", true, null], text: "中"}}
    cron: "0 8 * * 1"
    timezone: UTC
    queue: low
    misfire: all
    paused: true
  - name: fast
    task: test.noop
    every: 10s
  - name: daily
    task: test.noop
    args:
    cron: '@daily'
    misfire: skip
  - {name: minutes, task: test.noop, every: 120, paused: false}
`), 0o600))
	s, err := Load(path, catalog(t), shanghai)
	require.NoError(t, err)
	require.Equal(t, 4, s.Len())

	weekly, ok := s.Find("weekly")
	require.True(t, ok)
	require.Equal(t, "test.sum", weekly.Task.Name())
	require.JSONEq(t, `{"n":33,"m":66,"deep":{"list":[1,2.5,"x",true,null],"text":"中"}}`, string(weekly.Args))
	require.Equal(t, "cron 0 8 * * 1 UTC", weekly.Rule.Identity())
	require.Equal(t, "low", weekly.Queue)
	require.Equal(t, MisfireAll, weekly.Misfire)
	require.True(t, weekly.Paused)

	daily, ok := s.Find("daily")
	require.True(t, ok)
	require.Equal(t, "Europe/Berlin", daily.Location.String())
	require.Equal(t, MisfireSkip, daily.Misfire)
	require.JSONEq(t, `{}`, string(daily.Args))

	minutes, ok := s.Find("minutes")
	require.True(t, ok)
	require.Equal(t, everyRule(2*time.Minute), minutes.Rule)
	require.Equal(t, "default", minutes.Queue)
	require.Equal(t, MisfireOnce, minutes.Misfire)

	_, err = Load(path+".none", catalog(t), nil)
	require.ErrorIs(t, err, os.ErrNotExist)
}

func TestLoadUsesTheDefaultTimeZone(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		loc  *time.Location
		want string
	}{{nil, "UTC"}, {zone(t, "Asia/Shanghai"), "Asia/Shanghai"}} {
		s, err := Reader{Catalog: catalog(t), Location: c.loc}.Read("s.yaml", []byte("schedules:\n  - {name: a, task: test.noop, cron: '@daily'}"))
		require.NoError(t, err)
		require.Equal(t, c.want, s.entries[0].Location.String())
	}
}

func TestLoadReportsEverythingAtOnce(t *testing.T) {
	t.Parallel()
	_, err := load(t, `timezone: Mars/Olympus
retries: 3
schedules:
  - name: cron
    task: test.noop
    cron: "61 * * * *"
  - name: zero
    task: test.noop
    every: 0s
  - name: zero
    task: test.none
    every: 500ms
    misfire: twice
  - name: both
    task: test.sum
    args:
      n: 1
      m: "two"
      k: 3
    every: 5s
    cron: "@daily"
    queue: "no spaces"
  - name: bad name
    task: test.sum
    every: 1.5
    evry: 1
    paused: maybe
  - task: test.noop
    every: 5s
    every: 6s
  - just text
  - name: empty
    task:
`)
	var invalid *LoadError
	require.ErrorAs(t, err, &invalid)
	got := make([]string, 0, len(invalid.Problems))
	for _, p := range invalid.Problems {
		got = append(got, p.String())
	}
	require.Equal(t, []string{
		`line 1: timezone: "Mars/Olympus" is not a time zone such as Asia/Shanghai or UTC`,
		`line 2: unknown key "retries": known are timezone, schedules`,
		`line 6: schedule "cron": cron "61 * * * *": minute: "61" is above the maximum (59)`,
		`line 9: schedule "zero": every: 0s is not between 1s and 366 days`,
		`line 10: schedule "zero": the name is taken by the schedule in line 7`,
		`line 11: schedule "zero": task: there is no "test.none", only test.noop, test.sum`,
		`line 12: schedule "zero": every: 500ms is not between 1s and 366 days`,
		`line 13: schedule "zero": misfire: "twice" is not skip, once or all`,
		`line 19: schedule "both": args of test.sum: k: unknown field`,
		`line 21: schedule "both": has every and cron: give one of every, cron and at`,
		`line 22: schedule "both": queue: "no spaces" is not 1 to 64 letters, digits, '_' or '-', the first a letter or digit`,
		`line 23: name: "bad name" is not 1 to 64 letters, digits, '.', '_' or '-'`,
		`line 23: args of test.sum: n: is required`,
		`line 25: every: want a duration such as 10s, or a whole number of seconds, found 1.5`,
		`line 26: unknown key "evry": known are name, task, args, every, cron, timezone, queue, misfire, paused, priority, expires, max_retries, ` +
			`backoff, timeout, hard_timeout, max_crashes, result_limit, retention, unique_for, unique_until_done, unique_key, throttle, durable, ` +
			`history, tags, headers, on_success, on_failure, at, anchor, from, until, jitter, max_ticks, overlap, overlap_limit`,
		`line 27: paused: want true or false, found text`,
		`line 28: a schedule has no name`,
		`line 30: key "every" is there twice, first in line 29`,
		`line 31: a schedule: want keys with values, found text`,
		`line 32: schedule "empty": has neither every nor cron nor at`,
		`line 33: schedule "empty": task: has no value`,
	}, got)
	require.Equal(t, "s.yaml: "+strings.Join(got, "\ns.yaml: "), err.Error())
	require.Equal(t, got, Problems(err))
}

func TestLoadRefuses(t *testing.T) {
	t.Parallel()
	const entry = "schedules:\n  - name: a\n    task: test.sum\n    every: 5s\n"
	for name, c := range map[string]struct{ text, want string }{
		"a tab":               {"schedules:\n\t- name: a\n", "line 2: a tab cannot indent"},
		"a tab further on":    {entry + "    args:\n\t  n: 1\n", "line 6: a tab cannot indent"},
		"an empty file":       {"", "is empty"},
		"only comments":       {"# nothing\n", "is empty"},
		"no schedules":        {"timezone: UTC\n", `has no "schedules"`},
		"schedules of null":   {"schedules:\n", "line 1: schedules: has no value"},
		"schedules of keys":   {"schedules:\n  a: 1\n", "line 1: schedules: want a list, found a mapping"},
		"a list":              {"- name: a\n", "line 1: the file: want keys with values, found a list"},
		"text":                {"hello", "line 1: the file: want keys with values, found text"},
		"an item of null":     {"schedules:\n  -\n", "line 2: a schedule: want keys with values, found nothing"},
		"broken YAML":         {"schedules: [1, 2\n", "line 1: is not YAML"},
		"two documents":       {"schedules: []\n---\nschedules: []\n", "line 3: a second document"},
		"not UTF-8":           {"schedules: []\n# \xff\n", "line 2: is not UTF-8"},
		"a number for a name": {"schedules:\n  - name: 5\n    task: test.noop\n    every: 5s\n", "line 2: name: want text, found 5: put it in quotes"},
		"a name of dots":      {"schedules:\n  - {name: .., task: test.noop, every: 5s}\n", `line 2: name: ".." can be no part of a URL's path`},
		"an alias":            {"schedules:\n  - &a {name: a, task: test.noop, every: 5s}\n", "line 2: anchors and aliases (& and *) are not supported"},
		"a merge key":         {"schedules:\n  - name: a\n    task: test.noop\n    every: 5s\n    <<: {queue: low}\n", "line 5: merge keys"},
		"a tag":               {"schedules:\n  - name: a\n    task: !x test.noop\n    every: 5s\n", "line 3: tags (!x) are not supported"},
		"infinite args":       {entry + "    args: {n: .inf, m: 1}\n", "line 5: args: .inf cannot be a value"},
		"the same arg twice":  {entry + "    args:\n      n: 1\n      m: 1\n      n: 2\n", `line 8: key "n" is there twice, first in line 6`},
		"args of a list":      {entry + "    args: [1, 2]\n", "line 5: args of test.sum"},
		"missing args":        {entry, "line 2: args of test.sum: n: is required"},
		"a wrong type":        {entry + "    args:\n      n: 1\n      m: x\n", "line 7: args of test.sum: m: wants an integer, not the string"},
		"every of minus 5":    {"schedules:\n  - {name: a, task: test.noop, every: -5}\n", "line 2: every: -5 seconds"},
		"every of a day":      {"schedules:\n  - {name: a, task: test.noop, every: 1d}\n", `line 2: every: "1d" is not a duration`},
		"a huge every":        {"schedules:\n  - {name: a, task: test.noop, every: 18446744073709551615}\n", "line 2: every"},
		"@every":              {"schedules:\n  - {name: a, task: test.noop, cron: '@every 5s'}\n", `use "every" instead`},
		"the zone Local":      {"timezone: Local\nschedules: []\n", "line 1: timezone"},
		"a zone outside":      {"timezone: ../../etc/passwd\nschedules: []\n", "line 1: timezone"},
		"many brackets":       {"schedules: " + strings.Repeat("[", 200_000) + "\n", "has more than 50000 words"},
		"deep brackets":       {"schedules: " + strings.Repeat("[", 1000) + "\n", "is nested deeper than"},
		"an octal arg":        {entry + "    args: {n: 010, m: 1}\n", "line 5: args: 010 is no plain number: write 10, or 8, or \"010\" if it is text"},
		"an octal every":      {"schedules:\n  - {name: a, task: test.noop, every: 010}\n", "line 2: every: 010 is no plain number"},
		"every in a list":     {"schedules:\n  - {name: a, task: test.noop, every: [5]}\n", "line 2: every: want a duration such as 10s, or a whole number of seconds, found a list"},
		"a number with _":     {"schedules:\n  - {name: a, task: test.noop, every: 5s, max_retries: 1_0}\n", "max_retries: 1_0 is no plain number"},
		"too large a file":    {"", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if name == "too large a file" {
				path := filepath.Join(t.TempDir(), "s.yaml")
				require.NoError(t, os.WriteFile(path, make([]byte, maxFileSize+1), 0o600))
				_, err := Load(path, catalog(t), nil)
				require.ErrorContains(t, err, "is larger than")
				return
			}
			_, err := load(t, c.text)
			require.ErrorContains(t, strip(err), c.want)
		})
	}
}

// strip removes the entry's name, which most cases are not about.
func strip(err error) error {
	var invalid *LoadError
	if e, ok := err.(*LoadError); ok {
		invalid = &LoadError{Path: e.Path}
		for _, p := range e.Problems {
			p.Entry = ""
			invalid.Problems = append(invalid.Problems, p)
		}
		return invalid
	}
	return err
}

func TestAnEmptyListIsASchedule(t *testing.T) {
	t.Parallel()
	s, err := load(t, "\ufeffschedules: []\n")
	require.NoError(t, err)
	require.Zero(t, s.Len())
}

func TestTheHashIsOfTheMeaning(t *testing.T) {
	t.Parallel()
	hash := func(text string) string {
		s, err := load(t, text)
		require.NoError(t, err)
		return s.hash
	}
	same := hash("schedules:\n  - {name: a, task: test.sum, args: {n: 1, m: 2}, every: 60s}\n  - {name: b, task: test.noop, cron: '@daily'}\n")
	require.Equal(t, same, hash("# moved\nschedules:\n  - {name: b, task: test.noop, cron: '@daily'}\n  - {every: 1m, name: a, task: test.sum, args: {m: 2, n: 1}}\n"))
	for _, text := range []string{
		"schedules:\n  - {name: a, task: test.sum, args: {n: 1, m: 3}, every: 60s}\n  - {name: b, task: test.noop, cron: '@daily'}\n",
		"schedules:\n  - {name: a, task: test.sum, args: {n: 1, m: 2}, every: 61s}\n  - {name: b, task: test.noop, cron: '@daily'}\n",
		"timezone: Asia/Shanghai\nschedules:\n  - {name: a, task: test.sum, args: {n: 1, m: 2}, every: 60s}\n  - {name: b, task: test.noop, cron: '@daily'}\n",
		"schedules:\n  - {name: a, task: test.sum, args: {n: 1, m: 2}, every: 60s}\n  - {name: b, task: test.noop, cron: '@daily', paused: true}\n",
		"schedules:\n  - {name: a, task: test.sum, args: {n: 1, m: 2}, every: 60s, queue: low}\n  - {name: b, task: test.noop, cron: '@daily'}\n",
	} {
		require.NotEqual(t, same, hash(text))
	}
}

func FuzzLoad(f *testing.F) {
	f.Add("schedules:\n  - name: a\n    task: test.sum\n    args: {n: 1, m: 2}\n    cron: '0 8 * * 1'\n")
	f.Add("schedules:\n\t- name: a\n")
	f.Add("a: &x [1]\nb: *x\n<<: {c: d}\n")
	f.Add("schedules: [{name: |\n  a\n, every: 0x5}]\n--- \n")
	cat, err := tasks.NewCatalog(sum, noop)
	require.NoError(f, err)
	f.Fuzz(func(t *testing.T, text string) {
		s, err := Reader{Catalog: cat}.Read("s.yaml", []byte(text))
		if err != nil {
			require.NotEmpty(t, Problems(err))
			return
		}
		for _, e := range s.entries {
			require.Regexp(t, entryName, e.Name)
			require.NoError(t, e.Task.CheckArgs(e.Args))
			require.NotNil(t, e.Rule)
		}
	})
}
