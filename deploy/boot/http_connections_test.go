package boot

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"
)

// conn is a connection without a network.
type conn struct {
	net.Conn
	from   string
	closed atomic.Bool
}

func (c *conn) RemoteAddr() net.Addr {
	return net.TCPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(c.from), 1))
}

func (c *conn) Close() error {
	c.closed.Store(true)
	return nil
}

func newConnections(t *testing.T, limits ConnectionLimits) *connections {
	t.Helper()
	s := &connections{limits: limits, pressed: time.Second, logger: textLogger(t, io.Discard), peers: make(map[netip.Addr]*peer)}
	var err error
	s.metrics, err = newConnectionMetrics(nil, s)
	require.NoError(t, err)
	return s
}

// from admits a connection of an address and puts it in a state; nil when it is refused.
func (s *connections) from(addr string, state http.ConnState, since time.Time) *connection {
	c := s.admit(&conn{from: addr}, since)
	if c != nil {
		c.mark(state, since)
	}
	return c
}

func (c *connection) isClosed() bool { return c.Conn.(*conn).closed.Load() }

// TestWhatIsSparedFirst fills a server and lets others come.
func TestWhatIsSparedFirst(t *testing.T) {
	t.Parallel()
	s := newConnections(t, ConnectionLimits{Max: 7})
	now := time.Now()
	at := func(seconds int) time.Time { return now.Add(time.Duration(seconds) * time.Second) }
	slow := s.from("192.0.2.1", http.StateNew, at(-9))
	few := s.from("192.0.2.3", http.StateIdle, at(-60))
	younger := s.from("192.0.2.2", http.StateIdle, at(-5))
	older := s.from("192.0.2.2", http.StateIdle, at(-6))
	busy := s.from("192.0.2.2", http.StateActive, at(-60))
	quick := s.from("192.0.2.1", http.StateNew, at(0).Add(-s.pressed/2))
	waiting := s.from("192.0.2.3", http.StateHijacked, at(-60))
	for i, next := range []*connection{
		older, // idle for longest, of the address that has most
		few,   // all have two then
		younger,
		slow,
	} {
		require.False(t, next.isClosed(), i)
		require.NotNil(t, s.from("192.0.2.4", http.StateActive, now), i)
		require.True(t, next.isClosed(), i)
	}
	require.Nil(t, s.from("192.0.2.5", http.StateActive, now), "nothing is left that can be spared")
	for _, c := range []*connection{busy, quick, waiting} {
		require.False(t, c.isClosed())
	}
	require.Equal(t, 7, s.number)
	require.Equal(t, []float64{1, 0, 3, 1}, []float64{
		testutil.ToFloat64(s.metrics.refused[refusedAll]), testutil.ToFloat64(s.metrics.refused[refusedAddress]),
		testutil.ToFloat64(s.metrics.spared[sparedIdle]), testutil.ToFloat64(s.metrics.spared[sparedHeader]),
	})
	later := now.Add(s.pressed)
	require.NotNil(t, s.from("192.0.2.5", http.StateActive, later))
	require.True(t, quick.isClosed(), "its header did not come either")
}

// TestAnAddressMakesRoomForItselfAlone has one address at its limit.
func TestAnAddressMakesRoomForItselfAlone(t *testing.T) {
	t.Parallel()
	proxy := netip.MustParsePrefix("10.0.0.0/8")
	s := newConnections(t, ConnectionLimits{Max: 100, PerAddress: 2, Exempt: []netip.Prefix{
		proxy, netip.MustParsePrefix("2001:db8:0:1::1/128"), netip.MustParsePrefix("::ffff:172.16.0.0/108"),
	}})
	now := time.Now()
	other := s.from("192.0.2.2", http.StateIdle, now.Add(-time.Hour))
	for _, own := range [][]string{
		{"192.0.2.1", "::ffff:192.0.2.1", "192.0.2.1"},
		{"2001:db8::1", "2001:db8::2", "2001:db8::ffff:0:0:1"},
	} {
		idle := s.from(own[0], http.StateIdle, now)
		require.NotNil(t, s.from(own[1], http.StateActive, now))
		require.NotNil(t, s.from(own[2], http.StateActive, now))
		require.True(t, idle.isClosed())
		require.Nil(t, s.from(own[0], http.StateActive, now))
	}
	require.False(t, other.isClosed())
	require.NotNil(t, s.from("2001:db8:0:1::2", http.StateActive, now), "of the next /64")
	for _, addr := range []string{"10.1.2.3", "2001:db8:0:1::1", "172.16.0.1"} {
		for range 5 {
			require.NotNil(t, s.from(addr, http.StateActive, now), addr)
		}
	}
	require.EqualValues(t, 2, testutil.ToFloat64(s.metrics.refused[refusedAddress]))
}

// TestConnectionsOfProxiesAreSparedLast, since many clients share them.
func TestConnectionsOfProxiesAreSparedLast(t *testing.T) {
	t.Parallel()
	s := newConnections(t, ConnectionLimits{Max: 4, PerAddress: 4, Exempt: []netip.Prefix{netip.MustParsePrefix("10.0.0.1/32")}})
	now := time.Now()
	for range 3 {
		s.from("10.0.0.1", http.StateIdle, now.Add(-time.Hour))
	}
	stranger := s.from("192.0.2.1", http.StateIdle, now)
	require.NotNil(t, s.from("192.0.2.2", http.StateActive, now))
	require.True(t, stranger.isClosed())
}

// TestAConnectionIsReleasedOnce closes each by several goroutines at once.
func TestAConnectionIsReleasedOnce(t *testing.T) {
	t.Parallel()
	s := newConnections(t, ConnectionLimits{Max: 64, PerAddress: 32})
	now := time.Now()
	for range 50 {
		var open []*connection
		for i := range 64 {
			c := s.from([]string{"192.0.2.1", "192.0.2.2"}[i%2], http.StateNew, now)
			require.NotNil(t, c)
			if i%3 == 0 {
				s.changed(&deadlineConn{Conn: c}, http.StateHijacked)
			}
			open = append(open, c)
		}
		require.Nil(t, s.from("192.0.2.3", http.StateNew, now))
		require.Equal(t, map[http.ConnState]int{
			http.StateNew: 42, http.StateHijacked: 22, http.StateActive: 0, http.StateIdle: 0,
		}, s.byState())
		var all sync.WaitGroup
		for _, c := range open {
			for range 3 {
				all.Go(func() { _ = c.Close() })
			}
		}
		all.Wait()
		require.Zero(t, s.number)
		require.Zero(t, s.hijacked)
		require.Empty(t, s.peers)
	}
	c := s.from("192.0.2.1", http.StateActive, now)
	require.NoError(t, c.Close())
	s.changed(c, http.StateHijacked)
	require.Zero(t, s.hijacked, "it was closed meanwhile")
}

// failing is a listener that has no descriptor left.
type failing struct{ net.Listener }

func (failing) Accept() (net.Conn, error) {
	return nil, &net.OpError{Op: "accept", Err: syscall.EMFILE}
}

func TestDescriptorsAreFreedWhenNoneIsLeft(t *testing.T) {
	t.Parallel()
	s := newConnections(t, ConnectionLimits{})
	idle := s.from("192.0.2.1", http.StateIdle, time.Now())
	busy := s.from("192.0.2.1", http.StateActive, time.Now())
	_, err := s.listen(failing{}).Accept()
	require.ErrorIs(t, err, syscall.EMFILE)
	require.True(t, idle.isClosed())
	require.False(t, busy.isClosed())
}

// dialFrom connects from an address of this machine, of which Linux has all of 127.0.0.0/8.
func dialFrom(t *testing.T, from, to string) net.Conn {
	t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	c, err := d.DialContext(t.Context(), "tcp", to)
	if err != nil && from != "127.0.0.1" {
		t.Skipf("this machine has no %s: %v", from, err)
	}
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close() })
	require.NoError(t, c.SetDeadline(time.Now().Add(time.Minute)))
	return c
}

// TestOneAddressShutsNobodyOut fills a server from one address in every way, while another asks on new connections.
func TestOneAddressShutsNobodyOut(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		text            string
		refused, spared bool
	}{
		"nothing":       {"", true, false},
		"half a header": {"GET / HTTP/1.1\r\nHost:", true, false},
		"idle":          {"GET / HTTP/1.1\r\nHost: x\r\n\r\n", false, true},
		"stream":        {"GET /stream HTTP/1.1\r\nHost: x\r\n\r\n", true, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			registry := prometheus.NewRegistry()
			limit := defaultLimits()
			limit.read, limit.pressed = time.Hour, time.Hour
			s := serving(t, http.HandlerFunc(serveOrStream), time.Minute, limit, func(o *ServeOptions) {
				o.Connections = ConnectionLimits{Max: 40, PerAddress: 20}
				o.Registry = registry
			})
			var clients []net.Conn
			for range 100 {
				attacker := dialFrom(t, "127.0.0.1", s.addr)
				clients = append(clients, attacker)
				_, _ = io.WriteString(attacker, c.text) // it may have been refused
				if c.spared {
					_ = answerOn(attacker) // the same
				}
				other := dialFrom(t, "127.0.0.2", s.addr)
				_, err := io.WriteString(other, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
				require.NoError(t, err)
				require.Equal(t, "served", answerOn(other))
				require.NoError(t, other.Close())
			}
			open := 0.0
			for _, state := range []string{"new", "active", "idle", "waiting"} {
				open += metricOf(t, registry, "paidui_http_connections", state)
			}
			require.LessOrEqual(t, open, 40.0)
			require.NoError(t, testutil.GatherAndCompare(registry, strings.NewReader(`
# HELP paidui_http_connections_max How many may be open.
# TYPE paidui_http_connections_max gauge
paidui_http_connections_max 40
`), "paidui_http_connections_max"))
			if c.refused {
				require.Contains(t, s.log.String(), "connections are refused")
				require.Positive(t, metricOf(t, registry, "paidui_http_connections_refused_total", refusedAddress))
			}
			if c.spared {
				require.Positive(t, metricOf(t, registry, "paidui_http_connections_closed_total", sparedIdle))
			}
			for _, c := range clients {
				_ = c.Close() // a second time for some
			}
			require.NoError(t, s.stopped())
			require.Zero(t, metricOf(t, registry, "paidui_http_connections", "waiting"))
		})
	}
}

// serveOrStream answers, or takes the connection over until the server drains.
func serveOrStream(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != "/stream" {
		_, _ = io.WriteString(w, "served")
		return
	}
	c, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(err)
	}
	draining := Draining(r.Context())
	go func() {
		defer c.Close()
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nfirst")
		<-draining
	}()
}

// answerOn reads an answer and returns its body; "" when there is none.
func answerOn(c net.Conn) string {
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		return ""
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return ""
	}
	return string(body)
}

// metricOf is the value of the series whose only label has that value.
func metricOf(t *testing.T, registry *prometheus.Registry, name, label string) float64 {
	t.Helper()
	families, err := registry.Gather()
	require.NoError(t, err)
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == name && m.GetLabel()[0].GetValue() == label {
				return m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	t.Fatalf("there is no %s of %s", name, label)
	return 0
}
