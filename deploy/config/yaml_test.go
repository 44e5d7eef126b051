package config

import (
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestYAMLForms(t *testing.T) {
	t.Parallel()
	text := `# a comment
---
banner_count: 07
'timezone': "UTC"
tencent_app_id: 1400006666
http_addr:
worker_name: |
  w1
queues: [sms:6, low]
routes: [sms.*=fast, "*=low"]
trusted_proxies:
  - 10.0.0.0/8
  - 192.168.1.7 # one machine
cors_origins: https://a.example, https://b.example
drain_timeout: 0s
`
	cfg, err := Parse(Worker, "f.yaml", []byte(text), nil, nil, nil)
	require.NoError(t, err)
	require.Equal(t, 7, cfg.BannerCount)
	require.Equal(t, "UTC", cfg.Timezone)
	require.Equal(t, "1400006666", cfg.TencentAppID)
	require.Equal(t, "127.0.0.1:8000", cfg.HTTPAddr, "an empty value is the default")
	require.Equal(t, "w1", cfg.WorkerName)
	require.Equal(t, Queues{"sms": 6, "low": 1}, cfg.Queues)
	require.Equal(t, Routes{{"sms.*", "fast"}, {"*", "low"}}, cfg.Routes, "in their order")
	require.Equal(t, "10.0.0.0/8,192.168.1.7/32", cfg.TrustedProxies.String())
	require.Equal(t, List{"https://a.example", "https://b.example"}, cfg.CORSOrigins)
	require.Zero(t, cfg.DrainTimeout)
}

func TestYAMLWithoutSettings(t *testing.T) {
	t.Parallel()
	want, err := Load(Worker, nil, nil, nil)
	require.NoError(t, err)
	for _, text := range []string{"", "\n", "# only a comment\n", "---\n", "{}", "\ufeff", "null"} {
		cfg, err := Parse(Worker, "f.yaml", []byte(text), nil, nil, nil)
		require.NoError(t, err, "%q", text)
		require.Equal(t, want, cfg)
	}
}

func TestYAMLMistakes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, text string
		want       []string // beginnings of the lines
	}{
		{"unknown keys", "a: 1\nloglevel: debug\n", []string{
			`f.yaml:1: there is no setting "a"`,
			`f.yaml:2: there is no setting "loglevel"; did you mean log_level?`,
		}},
		{"duplicates", "timezone: UTC\nbanner_count: 3\ntimezone: UTC\nbanner_count: 3\n", []string{
			"f.yaml:3: timezone is set twice; the first time on line 1",
			"f.yaml:4: banner_count is set twice; the first time on line 2",
		}},
		{"tabs", "banner_count:\n\t3\n\t# x\n \t\n", []string{
			"f.yaml:2: the line is indented with a tab",
			"f.yaml:3: the line is indented with a tab",
		}},
		{"mapping for a value", "queues: {sms: 6}\nhttp_addr:\n  host: a\n", []string{
			"PAIDUI_QUEUES (queues, f.yaml:1): the value is neither",
			"PAIDUI_HTTP_ADDR (http_addr, f.yaml:2): the value is neither",
		}},
		{"nested list", "cors_origins: [[a]]", []string{"PAIDUI_CORS_ORIGINS (cors_origins, f.yaml:1): the value is neither"}},
		{"alias", "worker_name: &a x\ntimezone: *a\n", []string{
			"PAIDUI_WORKER_NAME (worker_name, f.yaml:1): the value is neither",
			"PAIDUI_TIMEZONE (timezone, f.yaml:2): the value is neither",
		}},
		{"a list", "- a\n- b\n", []string{"f.yaml:1: the file is no list of settings"}},
		{"a word", "banner_count 3", []string{"f.yaml:1: the file is no list of settings"}},
		{"number as key", "1: 2", []string{"f.yaml:1: the key is no name of a setting"}},
		{"two documents", "timezone: UTC\n---\ntimezone: UTC\n", []string{"f.yaml:3: the file has a second document"}},
		{"broken", "timezone: UTC\nlog_level: [debug\n", []string{"f.yaml:2: "}},
		{"unclosed quote", "timezone: \"UTC\n", []string{"f.yaml:1: "}},
		{"large", strings.Repeat("# comment\n", maxFile/10+1), []string{"f.yaml:1: the file is larger"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, err := Parse(Worker, "f.yaml", []byte(c.text), nil, nil, nil)
			lines := reasons(t, err)
			require.Len(t, lines, len(c.want), "%v", lines)
			for i, want := range c.want {
				require.True(t, strings.HasPrefix(lines[i], want), "%q does not begin with %q", lines[i], want)
			}
		})
	}
}

func TestBrokenYAMLHidesNoOtherMistakeAndNoSecret(t *testing.T) {
	t.Parallel()
	text := "jwt_secret: hunter2hunter2hunter2hunter2hunter2\nlog_level: [debug\n"
	_, err := Parse(API, "f.yaml", []byte(text), []string{"PAIDUI_CONCURRENCY=x"}, nil, nil)
	lines := reasons(t, err)
	require.Len(t, lines, 2, "what the file may set is not reported as missing: %v", lines)
	require.Contains(t, lines[1], "PAIDUI_CONCURRENCY")
	require.NotContains(t, err.Error(), "hunter2")
}

// The shipped example is complete, and is what one gets without it.
func TestExampleFile(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../config.yaml")
	require.NoError(t, err)
	for _, p := range []Program{API, Worker, Scheduler, Migrate} {
		want, err := Load(p, nil, required, nil)
		require.NoError(t, err)
		got, err := Parse(p, "config.yaml", text, required, nil, nil)
		require.NoError(t, err)
		require.Equal(t, want, got, "%s", p)
	}

	src, mistakes, readable := readYAML("config.yaml", text, names(settings()))
	require.True(t, readable)
	require.Empty(t, mistakes)
	last := 0
	for _, s := range settings() {
		_, at, _ := strings.Cut(src.places[s.Variable], ":")
		line, err := strconv.Atoi(at)
		require.NoError(t, err, "%s is missing", s.Key)
		require.Greater(t, line, last, "%s is not in the order of Config", s.Key)
		last = line
	}
}
