package boot

import (
	"crypto/tls"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"

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
		cfg, err := sampleApp(t).Load(config.Scheduler, nil, c.environ)
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
	require.NoError(t, HangUp("broker", closer(func() error { failed = conn.Close(); return failed })))
	require.Error(t, failed)

	require.NoError(t, HangUp("broker", closer(func() error { return nil })))
	other := errors.New("other")
	err = HangUp("broker", closer(func() error { return other }))
	require.ErrorIs(t, err, other)
	require.ErrorContains(t, err, "close broker")
}
