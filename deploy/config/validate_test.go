package config

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestValues(t *testing.T) {
	t.Parallel()
	const ok = ""
	for _, c := range []struct{ variable, value, want string }{
		{"HTTP_ADDR", ":8000", ok},
		{"HTTP_ADDR", "[::1]:0", ok},
		{"HTTP_ADDR", "localhost:http", "port"},
		{"HTTP_ADDR", "127.0.0.1:08000", "not a number from 0"},
		{"HTTP_ADDR", "8000", "no address"},
		{"HTTP_ADDR", "127.0.0.1:65536", "65535"},
		{"HTTP_ADDR", "http://127.0.0.1:8000", "no address"},
		{"ADMIN_ADDR", "127.0.0.1:-1", "65535"},
		{"ADMIN_ADDR", "127.0.0.1:8000", "address of the API already"},
		{"TLS_CERT_FILE", "/run/tls/tls.crt", "goes with PAIDUI_TLS_KEY_FILE"},
		{"TLS_KEY_FILE", "/run/tls/tls.key", "goes with PAIDUI_TLS_CERT_FILE"},
		{"MAX_CONNECTIONS", "-1", "between 0 and 10000000"},
		{"MAX_CONNECTIONS_PER_ADDRESS", "10000001", "between 0 and 10000000"},
		{"BROKER_URL", "redis://:Admin123@127.0.0.1:6379/1", ok},
		{"BROKER_URL", "rediss://h", ok},
		{"BROKER_URL", "redis+sentinel://h1:26379,h2:26379/name", ok},
		{"BROKER_URL", "redis+sentinel://me:pw@h1,h2/name?sentinel_password=a@b", ok},
		{"BROKER_URL", "redis+cluster://[::1]:1,[::2]:2", ok},
		{"BROKER_URL", "rediss+cluster://h1,h2", ok},
		{"BROKER_URL", "redis://h1,h2/1", "several hosts"},
		{"BROKER_URL", "http://h/1", "does not begin with"},
		{"BROKER_URL", "127.0.0.1:6379", "does not begin with"},
		{"BROKER_URL", "redis://", "names no host"},
		{"BROKER_URL", "redis+cluster://h1,,h2", "names no host"},
		{"BROKER_URL", "redis://:a/hunter2@h/1", "no URL"},
		{"BROKER_URL", "redis://:1/hunter2@h/1", "no URL"},
		{"BROKER_URL", "redis://:1#hunter2@h/1", "no URL"},
		{"BROKER_URL", "redis://:1?hunter2@h/1", "no URL"},
		{"BROKER_URL", "redis://me:1?hunter2@h/1", "no URL"},
		{"BROKER_URL", "redis://me:a@b?hun=ter2@h/1", "no URL"},
		{"BROKER_URL", "redis://:%zzhunter2@h/1", "no URL"},
		{"CACHE_URL", "memcached://:hunter2@h", "does not begin with"},
		{"WORKER_NAME", "..", "not made of"},
		{"WORKER_NAME", "...", ok},
		{"DATABASE_URL", "mysql://root:p%40ss@h:3306/db", ok},
		{"DATABASE_URL", "mysql://root@/db?socket=/run/mysqld.sock", ok},
		{"DATABASE_URL", "sqlite://:memory:", ok},
		{"DATABASE_URL", "sqlite:///var/lib/paidui.db", ok},
		{"DATABASE_URL", "sqlite://", "names no file"},
		{"DATABASE_URL", "mysql://root:hunter2@h", "names no database"},
		{"DATABASE_URL", "mysql://root:hunter2@/db", "names no host"},
		{"DATABASE_URL", "mysql://root:hunter2@h/db/x", "more than a database's name"},
		{"DATABASE_URL", "mysql://root:hun/ter2@h/db", "no URL"},
		{"DATABASE_URL", "postgres://root:hunter2@h/db", "begins neither"},
		{"DATABASE_URL", "root:hunter2@tcp(h)/db", "begins neither"},
		{"BACKEND_URL", "https://shop.example.com/api", ok},
		{"BACKEND_URL", "shop.example.com", "begins neither"},
		{"BACKEND_URL", "https://", "names no host"},
		{"BACKEND_URL", "https://h/?a=b", "query"},
		{"BACKEND_URL", "https://me:hunter2@h/", "has a user"},
		{"CORS_ORIGINS", "https://a.example, http://b.example:8080,*", ok},
		{"CORS_ORIGINS", "https://a.example/", "ends with a path"},
		{"CORS_ORIGINS", "a.example", "begins neither"},
		{"TRUSTED_PROXIES", "10.0.0.0/8, ::1, 192.168.1.7", ok},
		{"TRUSTED_PROXIES", "10.0.0.0/8, fc00::/7, ::ffff:10.0.0.0/104", ok},
		{"TRUSTED_PROXIES", "0.0.0.0/0", "0.0.0.0/0 is far more than your proxies"},
		{"TRUSTED_PROXIES", "10.0.0.0/8,128.0.0.0/1", "128.0.0.0/1 is far more"},
		{"TRUSTED_PROXIES", "::/0", "::/0 is far more"},
		{"TRUSTED_PROXIES", "::ffff:0.0.0.0/96", "is far more"},
		{"TRUSTED_PROXIES", "10.0.0.1/8", "the network is 10.0.0.0/8"},
		{"TRUSTED_PROXIES", "10.0.0.0/33", "neither an IP address nor a network"},
		{"TRUSTED_PROXIES", "proxy.example", "neither an IP address nor a network"},
		{"TRUSTED_PROXIES", "fe80::1%eth0", "zone"},
		{"JWT_SECRET", strings.Repeat("x", 31), "has 31 bytes"},
		{"JWT_SECRET", strings.Repeat("hunter2", 5), ok},
		{"JWT_SECRET", strings.Repeat("x", 32), "has 1 different characters only"},
		{"OPERATOR_KEY", strings.Repeat("a", 16), "has 1 different characters only"},
		{"OPERATOR_KEY", "1212343412123434", "has 4 different characters only"},
		{"OPERATOR_KEY", "0123456789abcdef0123456789abcdef", "is the same as a JWT secret"},
		{"OPERATOR_KEY", "1212343412123435", ok},
		{"OPERATOR_KEY", strings.Repeat("x", 15), "has 15 bytes"},
		{"JWT_LIFETIME", "59s", "between 1m and 8760h"},
		{"JWT_LIFETIME", "7d", "no"},
		{"SMS_PER_DAY", "010", `"010" is no plain number: write 10`},
		{"SMS_PER_DAY", "+5", `"+5" is no plain number: write 5`},
		{"SMS_PER_DAY", "0x10", "not a whole number"},
		{"SMS_PER_DAY", "1_0", "not a whole number"},
		{"SMS_PER_DAY", "-1", "between 1 and 1000"},
		{"TIMEZONE", "UTC", ok},
		{"TIMEZONE", "Local", "machine to machine"},
		{"TIMEZONE", "../../etc/passwd", "no time zone"},
		{"BANNER_COUNT", "1", ok},
		{"BANNER_COUNT", "100", ok},
		{"BANNER_COUNT", "0", "between 1 and 100"},
		{"BANNER_COUNT", "101", "between 1 and 100"},
		{"BANNER_COUNT", "3.5", "not a whole number"},
		{"BANNER_STRATEGY", "update", ok},
		{"BANNER_STRATEGY", "delete,update, periodic", ok},
		{"BANNER_STRATEGY", "update,never", `"never" is not one of delete, update, periodic`},
		{"BANNER_STRATEGY", "update,", "with commas between"},
		{"BANNER_STRATEGY", "never", "delete, update, periodic"},
		{"QUEUES", "a:1,b_2-c:1000", ok},
		{"QUEUES", strings.Repeat("q", 64), ok},
		{"QUEUES", "Mail:1,9", ok},
		{"QUEUES", "_mail", "the first a letter or digit"},
		{"QUEUES", "-mail", "the first a letter or digit"},
		{"QUEUES", strings.Repeat("q", 65), "not made of"},
		{"QUEUES", "a:1,a:2", `queue "a" is listed twice`},
		{"QUEUES", "a:1001", "from 1 to 1000"},
		{"QUEUES", "a:06", "from 1 to 1000"},
		{"QUEUES", "a:", "from 1 to 1000"},
		{"QUEUES", "a:b:1", "from 1 to 1000"},
		{"QUEUES", "a b", "not made of"},
		{"QUEUES", "队列:1", "not made of"},
		{"QUEUES", ",,", "names no queue"},
		{"ROUTES", "sms.*=fast,report.[a-z]?=low", ok},
		{"ROUTES", "", ok},
		{"ROUTES", "sms.*", `"sms.*" is not pattern=queue: queue name ""`},
		{"ROUTES", "=low", "is no pattern such as sms.*"},
		{"ROUTES", "[=low", "is no pattern such as sms.*"},
		{"ROUTES", "sms.*=a b", `queue name "a b"`},
		{"CONCURRENCY", "100000", ok},
		{"CONCURRENCY", "0", "between 1 and 100000"},
		{"WORKER_NAME", "celery@host-1", ok},
		{"WORKER_NAME", "a/b", "not made of"},
		{"LOG_LEVEL", "INFO", "debug, info, warn, error"},
		{"DRAIN_TIMEOUT", "0s", ok},
		{"DRAIN_TIMEOUT", "-1s", "between 0s and 1h"},
		{"STARTUP_WAIT", "61m", "between 0s and 1h"},
	} {
		t.Run(c.variable+"="+c.value, func(t *testing.T) {
			t.Parallel()
			environ := append([]string{}, required...)
			_, err := Load(API, nil, append(environ, prefix+c.variable+"="+c.value), nil)
			if c.want == ok {
				require.NoError(t, err)
				return
			}
			lines := reasons(t, err)
			require.Len(t, lines, 1)
			require.Contains(t, lines[0], c.want)
			require.True(t, strings.HasPrefix(lines[0],
				prefix+c.variable+" ("+strings.ToLower(c.variable)+", environment): "), lines[0])
			require.NotContains(t, lines[0], "hunter2")
		})
	}
}

func TestOnlyAPINeedsTheSecrets(t *testing.T) {
	t.Parallel()
	for _, p := range []Program{Worker, Scheduler, Local, Migrate} {
		_, err := Load(p, nil, nil, nil)
		require.NoError(t, err, "%s", p)
	}
	_, err := Load(API, nil, nil, nil)
	require.Len(t, reasons(t, err), 2)
	_, err = Load(Worker, nil, []string{"PAIDUI_JWT_SECRET=short"}, nil)
	require.ErrorContains(t, err, "PAIDUI_JWT_SECRET", "a bad secret is bad everywhere")
}

func TestValidateOfAChangedConfig(t *testing.T) {
	t.Parallel()
	cfg, err := Load(Local, nil, nil, nil)
	require.NoError(t, err)
	appOf(cfg).JWTSecret, appOf(cfg).BannerCount, cfg.Queues = "short", 0, Queues{"B": 0, "_a": 1}
	cfg.QueueMaxLength = Lengths{"low": 0}
	require.Equal(t, []string{
		"PAIDUI_QUEUE_MAX_LENGTH (queue_max_length): low:0 is no bound of a queue",
		"PAIDUI_QUEUES (queues): B:0 is no queue",
		"PAIDUI_QUEUES (queues): _a:1 is no queue",
		"PAIDUI_JWT_SECRET (jwt_secret): has 5 bytes; it needs at least 32",
		"PAIDUI_BANNER_COUNT (banner_count): 0 is not between 1 and 100",
	}, reasons(t, schemaWith(nil).Validate(Local, cfg)))

	// Nothing is valid about a zero Config, and it says so without a panic.
	require.GreaterOrEqual(t, len(reasons(t, schemaWith(nil).Validate(API, Config{}))), 12)
	require.Panics(t, func() { Config{Timezone: "nowhere"}.Location() })
	require.Equal(t, time.UTC, Config{Timezone: "UTC"}.Location())
}

func TestChecks(t *testing.T) {
	t.Parallel()
	var asked []string
	check := func(url string) error {
		asked = append(asked, url)
		if strings.Contains(url, "bad") {
			return errors.New("is bad")
		}
		return nil
	}
	checks := Checks{"redis": check, "database": check}
	environ := append([]string{
		"PAIDUI_BROKER_URL=redis://:hunter2@bad/1", "PAIDUI_CACHE_URL=http://bad", "PAIDUI_BANNER_COUNT=0",
	}, required...)
	_, err := Load(API, nil, environ, checks)
	lines := reasons(t, err)
	require.Equal(t, "PAIDUI_BROKER_URL (broker_url, environment): is bad", lines[0])
	require.Contains(t, lines[1], "PAIDUI_CACHE_URL (cache_url, environment): ")
	require.Contains(t, lines[1], "does not begin with", "what is no URL has one mistake, not two")
	require.Contains(t, lines[2], "PAIDUI_BANNER_COUNT")
	require.Len(t, lines, 3)
	require.Equal(t, []string{"redis://:hunter2@bad/1", "mysql://root@127.0.0.1:3306/paidui"}, asked)

	asked = nil
	cfg, err := Load(Local, nil, nil, checks)
	require.NoError(t, err)
	require.Equal(t, []string{"sqlite://.paidui/paidui.db"}, asked, "its own Redis has no URL yet")
	cfg.BrokerURL = "redis://bad"
	require.ErrorContains(t, schemaWith(checks).Validate(Local, cfg), "PAIDUI_BROKER_URL (broker_url): is bad")
}
