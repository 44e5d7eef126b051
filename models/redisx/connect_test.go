package redisx_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/deploy/testenv"
	"github.com/paidui/paidui/models/redisx"
	"github.com/paidui/paidui/models/redisx/embedded"
)

func TestConnectSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	open := testenv.Redis(t)
	locked := testenv.Redis(t, testenv.WithPassword("Admin123"))
	client, err := redisx.Connect(t.Context(), "PAIDUI_CACHE_URL", "redis://:Admin123@"+locked.Addr+"/1")
	require.NoError(t, err)
	require.NoError(t, client.Close())

	for _, c := range []struct{ name, url, want string }{
		{"wrong password", "redis://:hunter2@" + locked.Addr, "refuses the user or password"},
		{"no password", "redis://" + locked.Addr, "asks for a password"},
		{"no such database", "redis://" + open.Addr + "/99", "has no database 99"},
		{"nobody there", fmt.Sprintf("redis://:hunter2@127.0.0.1:%d", testenv.FreePort(t)), "no answer from Redis at 127.0.0.1:"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := redisx.Connect(t.Context(), "PAIDUI_CACHE_URL", c.url)
			require.ErrorContains(t, err, "PAIDUI_CACHE_URL")
			require.ErrorContains(t, err, c.want)
			require.NotContains(t, err.Error(), "hunter2")
			var urlErr *redisx.URLError
			if c.name == "nobody there" {
				require.NotErrorAs(t, err, &urlErr, "waiting may help")
			} else {
				require.ErrorAs(t, err, &urlErr, "waiting does not help")
			}
		})
	}
}

func TestEmbeddedExpiresKeys(t *testing.T) {
	t.Parallel()
	e, err := embedded.Start(t.Context())
	require.NoError(t, err)
	defer e.Close()
	client, err := redisx.Connect(t.Context(), "PAIDUI_BROKER_URL", e.URL(3))
	require.NoError(t, err)
	defer func() { require.NoError(t, client.Close()) }()
	require.NoError(t, client.Set(t.Context(), "k", "v", 200*time.Millisecond).Err())
	require.Equal(t, "v", client.Get(t.Context(), "k").Val())
	require.Eventually(t, func() bool { return client.Exists(t.Context(), "k").Val() == 0 }, 20*time.Second, 10*time.Millisecond)
}
