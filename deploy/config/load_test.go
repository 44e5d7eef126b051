package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"
	"github.com/stretchr/testify/require"
)

// required is the least environment in which api starts.
var required = []string{
	"PAIDUI_JWT_SECRET=0123456789abcdef0123456789abcdef",
	"PAIDUI_OPERATOR_KEY=0123456789abcdef",
}

// parsedFlags are the flags of p after parsing args.
func parsedFlags(t *testing.T, p Program, args ...string) *pflag.FlagSet {
	t.Helper()
	flags := pflag.NewFlagSet(string(p), pflag.ContinueOnError)
	schemaWith(nil).AddFlags(p, flags)
	require.NoError(t, flags.Parse(args))
	return flags
}

// reasons is every line of the error, which must be a *ValidationError.
func reasons(t *testing.T, err error) []string {
	t.Helper()
	var invalid *ValidationError
	require.ErrorAs(t, err, &invalid)
	require.NotEmpty(t, invalid.Mistakes)
	return strings.Split(err.Error(), "\n")
}

func TestDefaults(t *testing.T) {
	t.Parallel()
	cfg, err := Load(Worker, nil, nil, nil)
	require.NoError(t, err)
	require.Equal(t, sample{
		JWTLifetime:    7 * 24 * time.Hour,
		CacheURL:       "redis://127.0.0.1:6379/2",
		BackendURL:     "http://127.0.0.1:8000",
		SMSPerDay:      10,
		BannerCount:    3,
		BannerStrategy: "delete",
	}, *appOf(cfg))
	cfg.own = nil
	require.Equal(t, Config{
		HTTPAddr:           "127.0.0.1:8000",
		AdminAddr:          "127.0.0.1:9001",
		Language:           "zh",
		BrokerURL:          "redis://127.0.0.1:6379/1",
		DatabaseURL:        "mysql://root@127.0.0.1:3306/paidui",
		BrokerPipelining:   true,
		BrokerWakeUp:       true,
		History:            true,
		AuditEnqueues:      true,
		Timezone:           "Asia/Shanghai",
		Queues:             Queues{"default": 1},
		Concurrency:        64,
		LogFormat:          "json",
		LogLevel:           "info",
		DrainTimeout:       25 * time.Second,
		ShutdownDelay:      2 * time.Second,
		HTTPQueueWait:      500 * time.Millisecond,
		RequestsPerAddress: 200,
		StartupWait:        time.Minute,
	}, cfg)
	require.Equal(t, "Asia/Shanghai", cfg.Location().String())
}

func TestDefaultsDifferByProgram(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		program                     Program
		admin, broker, db, logForms string
	}{
		{API, "127.0.0.1:9000", "redis://127.0.0.1:6379/1", "mysql://root@127.0.0.1:3306/paidui", "json"},
		{Worker, "127.0.0.1:9001", "redis://127.0.0.1:6379/1", "mysql://root@127.0.0.1:3306/paidui", "json"},
		{Scheduler, "127.0.0.1:9002", "redis://127.0.0.1:6379/1", "mysql://root@127.0.0.1:3306/paidui", "json"},
		{Local, "127.0.0.1:9000", "", "sqlite://.paidui/paidui.db", "text"},
		{Migrate, "", "redis://127.0.0.1:6379/1", "mysql://root@127.0.0.1:3306/paidui", "json"},
	} {
		t.Run(string(c.program), func(t *testing.T) {
			t.Parallel()
			cfg, err := Load(c.program, nil, required, nil)
			require.NoError(t, err)
			require.Equal(t, c.admin, cfg.AdminAddr)
			require.Equal(t, c.broker, cfg.BrokerURL.Reveal())
			require.Equal(t, c.db, cfg.DatabaseURL.Reveal())
			require.Equal(t, c.logForms, cfg.LogFormat)
		})
	}
}

func TestPrecedence(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "paidui.yaml")
	require.NoError(t, os.WriteFile(file, []byte(`
banner_count: 5
concurrency: 7
log_level: warn
worker_name: from-file
`), 0o600))
	environ := []string{"PAIDUI_CONCURRENCY=8", "PAIDUI_LOG_LEVEL=error", "PAIDUI_WORKER_NAME=", "PATH=/bin"}

	cfg, err := Load(Worker, parsedFlags(t, Worker, "--config", file, "-l", "debug"), environ, nil)
	require.NoError(t, err)
	require.Equal(t, 3, appOf(must(Load(Worker, nil, nil, nil))).BannerCount)
	require.Equal(t, 5, appOf(cfg).BannerCount, "the file over the default")
	require.Equal(t, 8, cfg.Concurrency, "the environment over the file")
	require.Equal(t, "debug", cfg.LogLevel, "the flag over the environment")
	require.Equal(t, "from-file", cfg.WorkerName, "an empty variable is none")
}

func TestFlags(t *testing.T) {
	t.Parallel()
	cfg, err := Load(Worker, parsedFlags(t, Worker, "-Q", "sms:6, low", "-c", "20", "-l", "debug", "-n", "w1"), nil, nil)
	require.NoError(t, err)
	require.Equal(t, Queues{"sms": 6, "low": 1}, cfg.Queues)
	require.Equal(t, 20, cfg.Concurrency)
	require.Equal(t, "debug", cfg.LogLevel)
	require.Equal(t, "w1", cfg.WorkerName)

	_, err = Load(Worker, parsedFlags(t, Worker, "-Q", "-sms:6,low:0", "-c", "many", "-l", "loud", "-n", "a b"), nil, nil)
	require.Equal(t, []string{
		`PAIDUI_QUEUES (queues, --queues): queue name "-sms" is not made of 1 to 64 of A-Z a-z 0-9 _ -, the first a letter or digit`,
		`PAIDUI_QUEUES (queues, --queues): weight "0" of queue "low" is not a whole number from 1 to 1000`,
		`PAIDUI_CONCURRENCY (concurrency, --concurrency): "many" is not a whole number`,
		`PAIDUI_WORKER_NAME (worker_name, --name): "a b" is not made of 1 to 64 of A-Z a-z 0-9 . _ @ -`,
		`PAIDUI_LOG_LEVEL (log_level, --log-level): "loud" is not one of debug, info, warn, error`,
	}, reasons(t, err))

	flags := pflag.NewFlagSet("api", pflag.ContinueOnError)
	schemaWith(nil).AddFlags(API, flags)
	require.Nil(t, flags.Lookup("queues"), "only workers have queues")
	require.Equal(t, "info", flags.Lookup("log-level").DefValue)
	cfg, err = Load(API, flags, append([]string{"PAIDUI_LOG_LEVEL=warn"}, required...), nil)
	require.NoError(t, err)
	require.Equal(t, "warn", cfg.LogLevel, "a flag's default overrides nothing")
}

func TestEmptyFlags(t *testing.T) {
	t.Parallel()
	for _, empty := range []string{"", " "} {
		_, err := Load(Worker, parsedFlags(t, Worker, "-Q", empty, "--concurrency="+empty, "-n", empty, "-l", empty), []string{"PAIDUI_QUEUES=sms"}, nil)
		require.Equal(t, []string{
			"PAIDUI_QUEUES (queues, --queues): the flag has no value; leave it out for the default",
			"PAIDUI_CONCURRENCY (concurrency, --concurrency): the flag has no value; leave it out for the default",
			"PAIDUI_WORKER_NAME (worker_name, --name): the flag has no value; leave it out for the default",
			"PAIDUI_LOG_LEVEL (log_level, --log-level): the flag has no value; leave it out for the default",
		}, reasons(t, err))
	}
	_, err := Load(Worker, parsedFlags(t, Worker, "--config", ""), nil, nil)
	require.ErrorContains(t, err, "--config: the flag names no file")
}

func TestSwitches(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{"false": false, "0": false, "False": false, "true": true, "1": true, "": true} {
		cfg, err := Load(Worker, nil, []string{"PAIDUI_BROKER_PIPELINING=" + text}, nil)
		require.NoError(t, err, text)
		require.Equal(t, want, cfg.BrokerPipelining, text)
		require.True(t, cfg.BrokerWakeUp, text)
		if text == "0" || text == "1" {
			continue // numbers in YAML
		}
		cfg, err = Parse(Worker, "f.yaml", []byte("broker_wake_up: "+text+"\n"), nil, nil, nil)
		require.NoError(t, err, text)
		require.Equal(t, want, cfg.BrokerWakeUp, text)
		require.True(t, cfg.BrokerPipelining, text)
	}
	_, err := Load(Worker, nil, []string{"PAIDUI_BROKER_PIPELINING=off"}, nil)
	require.Equal(t, []string{
		`PAIDUI_BROKER_PIPELINING (broker_pipelining, environment): "off" is neither true nor false`,
	}, reasons(t, err))
}

func TestMistakesOfAllSourcesTogether(t *testing.T) {
	t.Parallel()
	text := "banner_count: 0\nbaner_count: 4\nsms_per_day: ten\n"
	environ := []string{
		"PAIDUI_TIMEZONE=Asia/Shanghia",
		"PAIDUI_LOG_FORMAT=xml",
		"PAIDUI_JWT_SECRT=0123456789abcdef0123456789abcdef",
		"PAIDUI_OPERATOR_KEY=short",
		"PAIDUI_DRAIN_TIMEOUT=10",
		"paidui_http_addr=:1",
		"PAIDUI_URL=http://127.0.0.1:8000", // of the operator's commands
	}
	_, err := Parse(API, "paidui.yaml", []byte(text), environ, parsedFlags(t, API, "-l", "loud"), nil)
	require.ElementsMatch(t, []string{
		`paidui.yaml:2: there is no setting "baner_count"; did you mean banner_count?`,
		`PAIDUI_SMS_PER_DAY (sms_per_day, paidui.yaml:3): wants a whole number, found text`,
		`PAIDUI_JWT_SECRT (environment): there is no such setting; did you mean PAIDUI_JWT_SECRET?`,
		`paidui_http_addr (environment): there is no such setting; did you mean PAIDUI_HTTP_ADDR?`,
		`PAIDUI_DRAIN_TIMEOUT (drain_timeout, environment): "10" is not a duration such as 30s, 5m or 168h`,
		`PAIDUI_JWT_SECRET (jwt_secret): is required, with at least 32 bytes; ` + "`openssl rand -hex 32` makes one",
		`PAIDUI_OPERATOR_KEY (operator_key, environment): has 5 bytes; it needs at least 16`,
		`PAIDUI_TIMEZONE (timezone, environment): "Asia/Shanghia" is no time zone such as Asia/Shanghai or UTC`,
		`PAIDUI_BANNER_COUNT (banner_count, paidui.yaml:1): 0 is not between 1 and 100`,
		`PAIDUI_LOG_FORMAT (log_format, environment): "xml" is not one of json, text`,
		`PAIDUI_LOG_LEVEL (log_level, --log-level): "loud" is not one of debug, info, warn, error`,
	}, reasons(t, err))

	var mistake Mistake
	require.ErrorAs(t, err, &mistake)
}

func TestFileThatCannotBeRead(t *testing.T) {
	t.Parallel()
	_, err := Load(Worker, parsedFlags(t, Worker, "--config", filepath.Join(t.TempDir(), "none.yaml")), nil, nil)
	require.ErrorIs(t, err, fs.ErrNotExist)
	require.ErrorContains(t, err, "--config")
	require.ErrorContains(t, err, "none.yaml")
}

func TestUnknownVariables(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		entry string
		want  string // "" when it is no mistake
	}{
		{"PAIDUI_BROKER_URI=redis://h/1", "; did you mean PAIDUI_BROKER_URL?"},
		{"PAIDUI_SOMETHING_ELSE_ALTOGETHER=1", "no such setting"},
		{"PAIDUI_=1", "no such setting"},
		{"PAIDUI_PORT=8000", "no such setting"},
		{"PAIDUIX=1", ""},
		{"MY_PAIDUI_HTTP_ADDR=1", ""},
		{"PAIDUI_API_SERVICE_HOST=10.0.0.1", ""},
		{"PAIDUI_API_SERVICE_PORT=8000", ""},
		{"PAIDUI_API_SERVICE_PORT_HTTP=8000", ""},
		{"PAIDUI_API_PORT=tcp://10.0.0.1:8000", ""},
		{"PAIDUI_API_PORT_8000_TCP=tcp://10.0.0.1:8000", ""},
		{"PAIDUI_API_PORT_8000_TCP_ADDR=10.0.0.1", ""},
	} {
		t.Run(c.entry, func(t *testing.T) {
			t.Parallel()
			_, err := Load(Worker, nil, []string{c.entry}, nil)
			if c.want == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, c.want)
			name, _, _ := strings.Cut(c.entry, "=")
			require.ErrorContains(t, err, name)
		})
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		"", "a", "banner_count: 3", "banner_count: [1, 2]", "queues:\n- sms:6\n- low:1\n", "- a\n- b", "{a: {b: c}}",
		"jwt_secret: |\n  0123456789\n", "a: &x 1\nb: *x\n", "<<: {a: 1}", "? a\n: b", "\t", "a:\n\tb: 1", "---\n...\n---\na: 1",
		"trusted_proxies: [10.0.0.0/8, ::1]", "drain_timeout: 1s", "!!str a: b", "%YAML 1.2\n---\na: b", "\ufeffhttp_addr: :1",
		"timezone: ../../etc/passwd", "broker_url: redis://:secret@h:1,h:2/1",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		cfg, err := Parse(API, "fuzz.yaml", []byte(text), required, nil, nil)
		if err != nil {
			var invalid *ValidationError
			if !errors.As(err, &invalid) || len(invalid.Mistakes) == 0 {
				t.Fatalf("%q: not a ValidationError: %v", text, err)
			}
			return
		}
		if err := schemaWith(nil).Validate(API, cfg); err != nil {
			t.Fatalf("%q: Load accepted what Validate refuses: %v", text, err)
		}
		cfg.Location()
	})
}

// TestOneOfTheKeysIsEnough: an API that has others does not need the key of the operator "operator".
func TestOneOfTheKeysIsEnough(t *testing.T) {
	t.Parallel()
	checks := Checks{"operators": func(text string) error {
		if text == "wrong" {
			return errors.New("entry 1: is wrong")
		}
		return nil
	}}
	jwt := required[0]
	_, err := Load(API, nil, []string{jwt}, checks)
	require.ErrorContains(t, err, "PAIDUI_OPERATOR_KEY (operator_key): is required")
	cfg, err := Load(API, nil, []string{jwt, "PAIDUI_OPERATOR_KEYS=alice=operator:0123456789abcdef"}, checks)
	require.NoError(t, err)
	require.Equal(t, "alice=operator:0123456789abcdef", cfg.OperatorKeys.Reveal())
	require.NotContains(t, fmt.Sprintf("%+v", cfg), "0123456789abcdef")
	cfg, err = Parse(API, "f.yaml", []byte("operator_keys_file: /run/secrets/operators"), []string{jwt}, nil, checks)
	require.NoError(t, err)
	require.Equal(t, "/run/secrets/operators", cfg.OperatorKeysFile, "which may have many lines, and is read by the program")
	_, err = Load(API, nil, []string{jwt, "PAIDUI_OPERATOR_KEYS=wrong"}, checks)
	require.ErrorContains(t, err, "PAIDUI_OPERATOR_KEYS (operator_keys, environment): entry 1: is wrong")
}
