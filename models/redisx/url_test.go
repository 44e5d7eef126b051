package redisx_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/models/redisx"
)

func TestParseURL(t *testing.T) {
	for _, c := range []struct {
		url            string
		addrs          []string
		user, password string
		db             int
		master         string
		cluster, tls   bool
	}{
		{url: "redis://127.0.0.1:6379/1", addrs: []string{"127.0.0.1:6379"}, db: 1},
		{url: "redis://:Admin123@127.0.0.1:6379/1", addrs: []string{"127.0.0.1:6379"}, password: "Admin123", db: 1},
		{url: "redis://me:p%40ss%2Fw@h", addrs: []string{"h:6379"}, user: "me", password: "p@ss/w"},
		{url: "redis://:a@b@h/2", addrs: []string{"h:6379"}, password: "a@b", db: 2},
		{url: "redis://[::1]:7000?db=3", addrs: []string{"[::1]:7000"}, db: 3},
		{url: "rediss://h/0", addrs: []string{"h:6379"}, tls: true},
		{url: "redis+sentinel://h1,h2:5000/main", addrs: []string{"h1:26379", "h2:5000"}, master: "main"},
		{url: "redis+sentinel://:pw@h1/main/4", addrs: []string{"h1:26379"}, master: "main", db: 4, password: "pw"},
		{url: "redis+cluster://h1,h2:7001", addrs: []string{"h1:6379", "h2:7001"}, cluster: true},
		{url: "rediss+cluster://h1/", addrs: []string{"h1:6379"}, cluster: true, tls: true},
	} {
		t.Run(c.url, func(t *testing.T) {
			o, err := redisx.ParseURL("PAIDUI_X_URL", c.url)
			require.NoError(t, err)
			require.Equal(t, c.addrs, o.Addrs)
			require.Equal(t, c.user, o.Username)
			require.Equal(t, c.password, o.Password)
			require.Equal(t, c.db, o.DB)
			require.Equal(t, c.master, o.MasterName)
			require.Equal(t, c.cluster, o.IsClusterMode)
			require.Equal(t, c.tls, o.TLSConfig != nil)
		})
	}
}

func TestParseURLErrors(t *testing.T) {
	const secret = "hunter2"
	for url, want := range map[string]string{
		"":                                   "is empty",
		"127.0.0.1:6379":                     "not a URL",
		"http://:hunter2@h":                  "scheme",
		"redis://:hunter2@":                  "host is missing",
		"redis://:hunter2%zz@h":              "percent-encode",
		"redis://:hunter2@h:99999":           "port",
		"redis://:hunter2@h:x/1":             "host:port",
		"redis://:hunter2@h/one":             "database",
		"redis://:hunter2@h/-1":              "database",
		"redis://:hunter2@h/1/2":             "one database",
		"redis://:hunter2@h1,h2/1":           "one host",
		"redis://:hunter2@h1,,h2/1":          "host is missing",
		"redis+sentinel://:hunter2@h1,h2":    "master's name",
		"redis+cluster://:hunter2@h1/1":      "no database number",
		"redis+cluster://:hunter2@h1?db=1":   "no database number",
		"redis://:hunter2@h/1?color=red":     "a parameter is not one of",
		"redis://:hunter2@h/1?pool_size=-3":  "pool_size",
		"redis://:hunter2@h/?read_timeout=x": "read_timeout",
		"redis://:hunter2@h#x":               "# part",
		"redis://:hunter2/x@h/1":             "percent-encode",
		"redis://:x?hunter2@h/1":             "",
		"redis://h/hunter2@h/1":              "",
		"redis+cluster://:x/hunter2@h":       "",
	} {
		t.Run(url, func(t *testing.T) {
			_, err := redisx.ParseURL("PAIDUI_X_URL", url)
			var urlErr *redisx.URLError
			require.ErrorAs(t, err, &urlErr)
			require.ErrorContains(t, err, "PAIDUI_X_URL: ")
			require.ErrorContains(t, err, want)
			require.NotContains(t, err.Error(), secret)
		})
	}
}

func FuzzParseURL(f *testing.F) {
	f.Add("redis://:pw@127.0.0.1:6379/1?db=2")
	f.Add("redis+sentinel://a,b/name/1")
	f.Fuzz(func(t *testing.T, raw string) {
		o, err := redisx.ParseURL("S", raw)
		var urlErr *redisx.URLError
		if err != nil && !errors.As(err, &urlErr) {
			t.Fatalf("error of another type: %T", err)
		}
		if err == nil && (len(o.Addrs) == 0 || !strings.Contains(raw, "://")) {
			t.Fatalf("%q gave %v", raw, o.Addrs)
		}
	})
}
