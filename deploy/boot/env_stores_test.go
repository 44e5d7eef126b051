package boot

import (
	"bytes"
	"crypto/tls"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/deploy/config"
	"github.com/paidui/paidui/deploy/testenv"
)

func TestBrokerSwitchesReachItsOptions(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		environ                []string
		noPipelining, noWakeUp bool
	}{
		{nil, false, false},
		{[]string{"PAIDUI_BROKER_PIPELINING=false"}, true, false},
		{[]string{"PAIDUI_BROKER_WAKE_UP=false"}, false, true},
	} {
		cfg, err := config.Load(config.Scheduler, nil, c.environ, nil)
		require.NoError(t, err)
		o := boot{program: config.Scheduler, config: cfg}.stores(testenv.Quiet())
		require.Equal(t, c.noPipelining, o.noPipelining, c.environ)
		require.Equal(t, c.noWakeUp, o.noWakeUp, c.environ)
	}
}

type closer func() error

func (c closer) Close() error { return c() }

// TestHangUpOnAServerThatHasGone closes connections whose other end is closed already: TLS can't say its last word then.
func TestHangUpOnAServerThatHasGone(t *testing.T) {
	t.Parallel()
	server := httptest.NewTLSServer(http.NotFoundHandler())
	t.Cleanup(server.Close)
	proxy := testenv.NewProxy(t, server.Listener.Addr().String())
	trust := server.Client().Transport.(*http.Transport).TLSClientConfig
	conn, err := tls.Dial("tcp", proxy.Addr, &tls.Config{RootCAs: trust.RootCAs, ServerName: "example.com"})
	require.NoError(t, err)
	proxy.Reset()
	var failed error
	require.NoError(t, hangUp("broker", closer(func() error { failed = conn.Close(); return failed })))
	require.Error(t, failed)

	require.NoError(t, hangUp("broker", closer(func() error { return nil })))
	other := errors.New("other")
	err = hangUp("broker", closer(func() error { return other }))
	require.ErrorIs(t, err, other)
	require.ErrorContains(t, err, "close broker")
}

// TestAReplicaNeedNotBeThere opens the stores while the cache's replica is away.
func TestAReplicaNeedNotBeThere(t *testing.T) {
	t.Parallel()
	primary, replica := testenv.Redis(t), testenv.Redis(t)
	replica.Stop()
	var log bytes.Buffer
	o := storeOptions{
		cacheURL:   primary.URL(2),
		replicaURL: replica.URL(2),
		wait:       time.Second,
		logger:     slog.New(slog.NewTextHandler(&log, nil)),
	}
	s, err := openStores(t.Context(), o)
	require.NoError(t, err)
	require.Contains(t, log.String(), "the replica of the cache does not answer")
	require.NotContains(t, s.checks(), "replica of the cache")
	replica.Start()
	require.NoError(t, s.CacheReplica.Ping(t.Context()).Err())
	require.NoError(t, s.close())

	o.replicaURL = ""
	s, err = openStores(t.Context(), o)
	require.NoError(t, err)
	require.Nil(t, s.CacheReplica)
	require.NoError(t, s.close())

	o.replicaURL = "redis://127.0.0.1:1/-1"
	_, err = openStores(t.Context(), o)
	require.ErrorContains(t, err, "PAIDUI_CACHE_REPLICA_URL")

	o.cacheURL, o.replicaURL = testenv.RedisCluster(t), ""
	s, err = openStores(t.Context(), o)
	require.NoError(t, err)
	require.NotNil(t, s.CacheReplica, "a cluster finds its own")
	require.NoError(t, s.close())
}
