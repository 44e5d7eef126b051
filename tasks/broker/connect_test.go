package broker_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/deploy/testenv"
	"github.com/paidui/paidui/tasks/broker"
)

func TestConnectSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	open := testenv.Redis(t)
	locked := testenv.Redis(t, testenv.WithPassword("Admin123"))
	client, err := broker.Connect(t.Context(), "PAIDUI_CACHE_URL", "redis://:Admin123@"+locked.Addr+"/1")
	require.NoError(t, err)
	require.NoError(t, client.Close())

	for _, c := range []struct{ name, url, want string }{
		{"wrong password", "redis://:hunter2@" + locked.Addr, "refuses the user or password"},
		{"no password", "redis://" + locked.Addr, "asks for a password"},
		{"no such database", "redis://" + open.Addr + "/99", "has no database 99"},
		{"nobody there", fmt.Sprintf("redis://:hunter2@127.0.0.1:%d", testenv.FreePort(t)), "no answer from Redis at 127.0.0.1:"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := broker.Connect(t.Context(), "PAIDUI_CACHE_URL", c.url)
			require.ErrorContains(t, err, "PAIDUI_CACHE_URL")
			require.ErrorContains(t, err, c.want)
			require.NotContains(t, err.Error(), "hunter2")
			var urlErr *broker.URLError
			if c.name == "nobody there" {
				require.NotErrorAs(t, err, &urlErr, "waiting may help")
			} else {
				require.ErrorAs(t, err, &urlErr, "waiting does not help")
			}
		})
	}
}

func TestOpenWarnsOfEviction(t *testing.T) {
	t.Parallel()
	for policy, warned := range map[string]bool{"allkeys-lru": true, "noeviction": false, "volatile-ttl": false} {
		t.Run(policy, func(t *testing.T) {
			t.Parallel()
			server := testenv.Redis(t, testenv.WithArgs("--maxmemory-policy", policy))
			var log bytes.Buffer
			b, err := broker.Open(t.Context(), server.URL(0), broker.Options{
				Logger: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelWarn})),
			})
			require.NoError(t, err)
			require.NoError(t, b.Close())
			require.Equal(t, warned, bytes.Contains(log.Bytes(), []byte("noeviction")), log.String())
		})
	}
}

func TestEmbeddedExpiresKeys(t *testing.T) {
	t.Parallel()
	e, err := broker.StartEmbedded(t.Context())
	require.NoError(t, err)
	defer e.Close()
	client, err := broker.Connect(t.Context(), broker.Setting, e.URL(3))
	require.NoError(t, err)
	defer func() { require.NoError(t, client.Close()) }()
	require.NoError(t, client.Set(t.Context(), "k", "v", 200*time.Millisecond).Err())
	require.Equal(t, "v", client.Get(t.Context(), "k").Val())
	require.Eventually(t, func() bool { return client.Exists(t.Context(), "k").Val() == 0 }, 20*time.Second, 10*time.Millisecond)
}
