package shop

import (
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/deploy/boot"
	"github.com/paidui/paidui/deploy/config"
)

// required is the least environment in which api starts.
var required = []string{
	"PAIDUI_JWT_SECRET=0123456789abcdef0123456789abcdef",
	"PAIDUI_OPERATOR_KEY=0123456789abcdef",
}

// loadErr is what is wrong with the configuration of program p.
func loadErr(p config.Program, environ []string) error {
	_, err := App().Load(p, nil, environ)
	return err
}

// reasons is every line of the error, which must be a *config.ValidationError.
func reasons(t *testing.T, err error) []string {
	t.Helper()
	var invalid *config.ValidationError
	require.ErrorAs(t, err, &invalid)
	return strings.Split(err.Error(), "\n")
}

func TestDefaults(t *testing.T) {
	t.Parallel()
	app, cfg := load(t, config.Worker, nil)
	require.Equal(t, &Settings{
		BackendURL:      "http://127.0.0.1:8000",
		WritesPerUser:   5,
		SeckillPerUser:  10,
		JWTLifetime:     7 * 24 * time.Hour,
		CacheURL:        "redis://127.0.0.1:6379/2",
		CacheNear:       10_000,
		CacheNearExpiry: time.Second,
		SMSProvider:     SMSOutbox,
		SMSPerMinute:    1,
		SMSPerDay:       10,
		SMSPerAddress:   20,
		SMSPerMinuteAll: 600,
		TencentRegion:   "ap-guangzhou",
		TencentEndpoint: "sms.tencentcloudapi.com",
		BannerCount:     3,
		BannerStrategy:  "delete",
	}, app.Settings)
	require.Equal(t, config.Queues{"sms": 6, "seckill": 6, "default": 3, "cache": 2, "low": 1}, cfg.Queues)
	app, cfg = load(t, config.Local, nil)
	require.Empty(t, app.Settings.(*Settings).CacheURL, "it has its own")
	require.True(t, app.Settings.(*Settings).OutboxPublic)
	require.Equal(t, "sqlite://.paidui/paidui.db", cfg.DatabaseURL.Reveal())
}

func TestValues(t *testing.T) {
	t.Parallel()
	const ok = ""
	for _, c := range []struct{ variable, value, want string }{
		{"CACHE_REPLICA_URL", "", ok},
		{"CACHE_REPLICA_URL", "redis://:pw@h/2", ok},
		{"CACHE_REPLICA_URL", "redis://h1,h2/2", "several hosts"},
		{"CACHE_NEAR", "0", ok},
		{"CACHE_NEAR", "-1", "between 0 and 10000000"},
		{"CACHE_NEAR_EXPIRY", "0s", ok},
		{"CACHE_NEAR_EXPIRY", "61s", "between 0s and 1m"},
		{"SMS_PROVIDER", "twilio", "outbox, tencent"},
		{"SMS_PER_ADDRESS", "99999999999999999999", "not a whole number"},
		{"SMS_PER_MINUTE", "0", "between 1 and 60"},
	} {
		t.Run(c.variable+"="+c.value, func(t *testing.T) {
			t.Parallel()
			err := loadErr(config.API, append([]string{"PAIDUI_" + c.variable + "=" + c.value}, required...))
			if c.want == ok {
				require.NoError(t, err)
				return
			}
			lines := reasons(t, err)
			require.Len(t, lines, 1)
			require.Contains(t, lines[0], c.want)
			require.True(t, strings.HasPrefix(lines[0], "PAIDUI_"+c.variable+" ("+strings.ToLower(c.variable)+", environment): "), lines[0])
		})
	}
}

// TestANamedKeyIsNoSecretOfTokens, nor is any of those that a name has.
func TestANamedKeyIsNoSecretOfTokens(t *testing.T) {
	t.Parallel()
	const secret = "an-operator-key-that-is-a-secret-of-tokens-"
	err := loadErr(config.API, []string{"PAIDUI_JWT_SECRET=" + secret, required[1], "PAIDUI_OPERATOR_KEYS=alice=operator:0123456789abcdef-,alice=operator:" + secret})
	require.ErrorContains(t, err, "PAIDUI_OPERATOR_KEYS (operator_keys, environment): has a JWT secret as the key of alice")
	require.NotContains(t, err.Error(), secret)
}

func TestThePreviousSecretIsHeldToTheSame(t *testing.T) {
	t.Parallel()
	for secret, want := range map[string]string{
		strings.Repeat("hunter2", 5): "",
		"short":                      "PAIDUI_JWT_SECRET_PREVIOUS (jwt_secret_previous, environment): has 5 bytes",
		strings.Repeat("x", 32):      "PAIDUI_JWT_SECRET_PREVIOUS (jwt_secret_previous, environment): has 1 different characters",
		"an-operator-key-that-is-a-secret-of-tokens-": "PAIDUI_OPERATOR_KEY (operator_key, environment): is the same as a JWT secret",
	} {
		key := required[1]
		if strings.HasPrefix(secret, "an-operator") {
			key = "PAIDUI_OPERATOR_KEY=" + secret
		}
		err := loadErr(config.API, []string{required[0], key, "PAIDUI_JWT_SECRET_PREVIOUS=" + secret})
		if want == "" {
			require.NoError(t, err)
			continue
		}
		require.ErrorContains(t, err, want)
		require.NotContains(t, err.Error(), "an-operator")
	}
}

func TestTencentSettings(t *testing.T) {
	t.Parallel()
	tencent := append([]string{"PAIDUI_SMS_PROVIDER=tencent"}, required...)
	err := loadErr(config.Worker, tencent)
	lines := reasons(t, err)
	require.Len(t, lines, 5)
	for i, name := range []string{"SECRET_ID", "SECRET_KEY", "APP_ID", "SIGN_NAME", "TEMPLATE_ID"} {
		require.Contains(t, lines[i], "PAIDUI_TENCENT_"+name)
	}
	for _, p := range []config.Program{config.API, config.Scheduler, config.Migrate} {
		err = loadErr(p, tencent)
		require.NoError(t, err, "%s sends nothing", p)
	}

	complete := append([]string{
		"PAIDUI_TENCENT_SECRET_ID=id", "PAIDUI_TENCENT_SECRET_KEY=key", "PAIDUI_TENCENT_APP_ID=1400006666",
		"PAIDUI_TENCENT_SIGN_NAME=排队", "PAIDUI_TENCENT_TEMPLATE_ID=449739",
	}, tencent...)
	err = loadErr(config.Worker, complete)
	require.NoError(t, err)
	for endpoint, good := range map[string]bool{
		"127.0.0.1:8080": true, "http://127.0.0.1:8080": true, "sms.ap-beijing.tencentcloudapi.com": true,
		"ftp://h": false, "host/path": false, "a b": false, ":80": false,
	} {
		err = loadErr(config.Worker, append([]string{"PAIDUI_TENCENT_ENDPOINT=" + endpoint}, complete...))
		if good {
			require.NoError(t, err, endpoint)
		} else {
			require.ErrorContains(t, err, "PAIDUI_TENCENT_ENDPOINT", endpoint)
		}
	}
}

// TestURLsAreCheckedBeforeTheyAreUsed tries what only the store's own parser knows to be wrong.
func TestURLsAreCheckedBeforeTheyAreUsed(t *testing.T) {
	t.Parallel()
	for url, want := range map[string]string{
		"redis://:hunter2@h/1/2":         "one database number",
		"rediss://h/0?read_timeout=soon": "read_timeout",
	} {
		lines := reasons(t, loadErr(config.Worker, []string{cacheSetting + "=" + url}))
		require.Len(t, lines, 1)
		require.Contains(t, lines[0], cacheSetting+" (cache_url, environment): ")
		require.Contains(t, lines[0], want)
		require.NotContains(t, lines[0], "hunter2")
	}
}

// TestTheShopNeedsADatabase: it has tables of its own.
func TestTheShopNeedsADatabase(t *testing.T) {
	t.Parallel()
	app, cfg := load(t, config.Worker, []string{"PAIDUI_DATABASE_URL=", "PAIDUI_ADMIN_ADDR=127.0.0.1:0"})
	require.EqualError(t, boot.Worker(t.Context(), app, cfg), "PAIDUI_DATABASE_URL is set to nothing, and paidui has tables: it needs a database")
}

// TestExampleFile: the shipped example is complete, in the order of the two structs, and is what one gets without it.
func TestExampleFile(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../config.yaml")
	require.NoError(t, err)
	for _, p := range []config.Program{config.API, config.Worker, config.Scheduler, config.Migrate} {
		schema, err := App().Schema()
		require.NoError(t, err)
		want, err := schema.Load(p, nil, required)
		require.NoError(t, err)
		got, err := schema.Parse(p, "config.yaml", text, required, nil)
		require.NoError(t, err)
		require.Equal(t, want, got, "%s", p)
	}
	for _, of := range []reflect.Type{reflect.TypeFor[config.Config](), reflect.TypeFor[Settings]()} {
		last := 0
		for i := range of.NumField() {
			key, is := of.Field(i).Tag.Lookup("yaml")
			if !is {
				continue
			}
			at := regexp.MustCompile(`(?m)^` + key + `:`).FindIndex(text)
			require.NotNil(t, at, "%s is missing", key)
			require.Greater(t, at[0], last-1, "%s is not in the order of %s", key, of)
			last = at[0] + 1
		}
	}
}
