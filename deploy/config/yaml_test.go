package config

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/models/plainyaml"
)

func TestYAMLForms(t *testing.T) {
	t.Parallel()
	text := `# a comment
---
banner_count: 7
'timezone': "UTC"
tencent_app_id: "1400006666"
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
	require.Equal(t, 7, appOf(cfg).BannerCount)
	require.Equal(t, "UTC", cfg.Timezone)
	require.Equal(t, "1400006666", appOf(cfg).TencentAppID)
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
			"f.yaml:2: a tab cannot indent",
			"f.yaml:3: a tab cannot indent",
		}},
		{"mapping for a value", "queues: {sms: 6}\nhttp_addr:\n  host: a\n", []string{
			"PAIDUI_QUEUES (queues, f.yaml:1): wants a list of texts, or one text with commas between them, found a mapping",
			"PAIDUI_HTTP_ADDR (http_addr, f.yaml:2): wants text, found a mapping",
		}},
		{"nested list", "cors_origins: [[a]]", []string{"PAIDUI_CORS_ORIGINS (cors_origins, f.yaml:1): wants text, found a list"}},
		{"list for a value", "banner_count: [1]\ntimezone: [UTC]\nhistory: [true]\ndrain_timeout: [1s]\n", []string{
			"PAIDUI_BANNER_COUNT (banner_count, f.yaml:1): wants a whole number, found a list",
			"PAIDUI_TIMEZONE (timezone, f.yaml:2): wants text, found a list",
			"PAIDUI_HISTORY (history, f.yaml:3): wants true or false, found a list",
			"PAIDUI_DRAIN_TIMEOUT (drain_timeout, f.yaml:4): wants a duration such as 30s, 5m or 168h, found a list",
		}},
		{"ambiguous numbers", "banner_count: 010\nsms_per_day: 0x10\nconcurrency: 1_000\nworker_name: 010\nqueues: [010]\n", []string{
			`PAIDUI_BANNER_COUNT (banner_count, f.yaml:1): 010 is no plain number: write 10, or 8, or "010" if it is text`,
			`PAIDUI_SMS_PER_DAY (sms_per_day, f.yaml:2): 0x10 is no plain number: write 16`,
			`PAIDUI_CONCURRENCY (concurrency, f.yaml:3): 1_000 is no plain number: write 1000`,
			`PAIDUI_WORKER_NAME (worker_name, f.yaml:4): 010 is no plain number`,
			`PAIDUI_QUEUES (queues, f.yaml:5): 010 is no plain number`,
		}},
		{"numbers for secrets", "operator_key: 7777777777777777\njwt_secret: 777777777777777777777777777777777777\nbroker_url: [7777]\n", []string{
			"PAIDUI_OPERATOR_KEY (operator_key, f.yaml:1): wants text: put it in quotes",
			"PAIDUI_JWT_SECRET (jwt_secret, f.yaml:2): wants text: put it in quotes",
			"PAIDUI_BROKER_URL (broker_url, f.yaml:3): wants text: put it in quotes",
		}},
		{"wrong kinds", "banner_count: \"3\"\nsms_per_day: ten\nconcurrency: 3.5\nworker_name: 5\ntimezone: true\nhistory: 1\n" +
			"broker_wake_up: yes\ndrain_timeout: 10\nqueues: [5]\nroutes: true\n", []string{
			`PAIDUI_BANNER_COUNT (banner_count, f.yaml:1): wants a whole number, found text`,
			`PAIDUI_SMS_PER_DAY (sms_per_day, f.yaml:2): wants a whole number, found text`,
			`PAIDUI_CONCURRENCY (concurrency, f.yaml:3): wants a whole number, found 3.5`,
			`PAIDUI_WORKER_NAME (worker_name, f.yaml:4): wants text, found 5: put it in quotes`,
			`PAIDUI_TIMEZONE (timezone, f.yaml:5): wants text, found true: put it in quotes`,
			`PAIDUI_HISTORY (history, f.yaml:6): wants true or false, found 1`,
			`PAIDUI_BROKER_WAKE_UP (broker_wake_up, f.yaml:7): wants true or false, found text`,
			`PAIDUI_QUEUES (queues, f.yaml:9): wants text, found 5: put it in quotes`,
			`PAIDUI_ROUTES (routes, f.yaml:10): wants a list of texts, or one text with commas between them, found true`,
			`PAIDUI_DRAIN_TIMEOUT (drain_timeout, f.yaml:8): "10" is not a duration`,
		}},
		{"alias", "worker_name: &a x\ntimezone: *a\n", []string{"f.yaml:1: anchors and aliases (& and *) are not supported"}},
		{"depth", "timezone: UTC\nqueues: " + strings.Repeat("[", 40_000), []string{"f.yaml:2: is nested deeper than 64"}},
		{"200,000 brackets", strings.Repeat("[", 200_000), []string{"f.yaml:1: has more than 50000"}},
		{"a list", "- a\n- b\n", []string{"f.yaml:1: the file is no list of settings"}},
		{"a word", "banner_count 3", []string{"f.yaml:1: the file is no list of settings"}},
		{"number as key", "1: 2", []string{"f.yaml:1: the key is no name of a setting"}},
		{"two documents", "timezone: UTC\n---\ntimezone: UTC\n", []string{"f.yaml:3: a second document begins"}},
		{"broken", "timezone: UTC\nlog_level: [debug\n", []string{"f.yaml:2: "}},
		{"unclosed quote", "timezone: \"UTC\n", []string{"f.yaml:1: "}},
		{"large", strings.Repeat("# comment\n", plainyaml.MaxSize/10+1), []string{"f.yaml:1: is larger"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, err := Parse(Worker, "f.yaml", []byte(c.text), nil, nil, nil)
			lines := reasons(t, err)
			require.Len(t, lines, len(c.want), "%v", lines)
			require.NotContains(t, err.Error(), "7777", "a secret is quoted")
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
