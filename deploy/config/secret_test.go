package config

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/stretchr/testify/require"
)

const password = "hunter2hunter2hunter2hunter2hunter2"

// printed is v in every form that a program may print it in.
func printed(t *testing.T, v any) map[string]string {
	t.Helper()
	texts := map[string]string{}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%T %[1]v", "%10v", "%t"} {
		texts[verb] = fmt.Sprintf(verb, v)
	}
	asJSON, err := json.Marshal(v)
	require.NoError(t, err)
	texts["JSON"] = string(asJSON)
	asYAML, err := yaml.Marshal(v)
	require.NoError(t, err)
	texts["YAML"] = string(asYAML)
	var log bytes.Buffer
	for _, h := range []slog.Handler{slog.NewJSONHandler(&log, nil), slog.NewTextHandler(&log, nil)} {
		slog.New(h).Info("configuration", "config", v, "nested", map[string]any{"config": v}, "list", []any{v})
	}
	texts["slog"] = log.String()
	return texts
}

func TestSecretsAreNeverPrinted(t *testing.T) {
	t.Parallel()
	cfg := Config{
		OperatorKey: password, BrokerURL: "redis://:" + password + "@h:1/1", DatabaseURL: "mysql://root:" + password + "@h:3306/db",
		own: &own{&sample{JWTSecret: password, CacheURL: "rediss://me:" + password + "@h/1"}},
	}
	for name, v := range map[string]any{
		"secret": Secret(password), "URL": URL("redis://:" + password + "@h"), "config": cfg, "pointer": &cfg, "own": appOf(cfg),
		"slice": []Secret{password}, "map": map[string]Secret{"a": password},
	} {
		for form, text := range printed(t, v) {
			require.NotContains(t, text, "hunter2", "%s as %s", name, form)
			require.NotContains(t, text, fmt.Sprintf("%x", "hunter2"), "%s as %s", name, form)
			require.NotContains(t, text, fmt.Sprintf("%X", "hunter2"), "%s as %s", name, form)
		}
	}
	for form, text := range printed(t, Secret(password)) {
		require.Contains(t, text, "***", form)
	}
	require.Equal(t, password, appOf(cfg).JWTSecret.Reveal())
	require.Empty(t, Secret("").String(), "a missing secret is seen to be missing")
}

func TestLogValueHasEverySetting(t *testing.T) {
	t.Parallel()
	cfg, err := Load(API, nil, required, nil)
	require.NoError(t, err)
	attrs := map[string]string{}
	for _, a := range cfg.LogValue().Group() {
		attrs[a.Key] = a.Value.String()
	}
	require.Len(t, attrs, len(settings()))
	require.Equal(t, "***", attrs["jwt_secret"])
	require.Equal(t, "127.0.0.1:9000", attrs["admin_addr"])
	require.Equal(t, "default:1", attrs["queues"])
}

func TestRedacted(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ url, want string }{
		{"", ""},
		{"redis://127.0.0.1:6379/1", "redis://127.0.0.1:6379/1"},
		{"redis://:hunter2@127.0.0.1:6379/1", "redis://:***@127.0.0.1:6379/1"},
		{"redis://me@h/1", "redis://me@h/1"},
		{"redis+sentinel://me:hunter2@a:1,b:2/name", "redis+sentinel://me:***@a:1,b:2/name"},
		{"redis+sentinel://a,b/n?sentinel_password=hunter2&db=1", "redis+sentinel://a,b/n?sentinel_password=***&db=1"},
		{"mysql://root:hun@ter2@h/db", "mysql://root:***@h/db"},
		{"mysql://root:hunter2/@h/db", "mysql://root:***@h/db"},
		{"redis://:12?hunter2@h/1", "redis://:***@h/1"},
		{"redis://:12/hunter2@h/1", "redis://:***@h/1"},
		{"redis://:hunter2#@h/1", "redis://:***@h/1"},
		{"root:hunter2@tcp(127.0.0.1:3306)/db", "root:***@tcp(127.0.0.1:3306)/db"},
		{"hunter2", "***"},
		{"sqlite://.paidui/a@b.db", "sqlite://.paidui/a@b.db"},
	} {
		require.Equal(t, c.want, URL(c.url).Redacted())
	}
}

// FuzzRedacted holds that a password between the first colon of the user part and the last @ never shows.
func FuzzRedacted(f *testing.F) {
	f.Add("redis", "me", "hunter2", "host/1")
	f.Add("mysql", "", "a@b:c/d?e#f%", "h")
	f.Fuzz(func(t *testing.T, scheme, user, pass, host string) {
		const marker = "\x00hunter2\x00"
		for _, text := range []string{scheme, user, host} {
			if bytes.ContainsAny([]byte(text), ":@/?&;=") {
				t.Skip("not one part of a URL")
			}
		}
		redacted := URL(scheme + "://" + user + ":" + pass + marker + "@" + host).Redacted()
		if bytes.Contains([]byte(redacted), []byte(marker)) {
			t.Fatalf("%q shows the password", redacted)
		}
	})
}
