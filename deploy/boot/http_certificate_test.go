package boot

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/deploy/testenv"
)

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	content, err := os.ReadFile(from)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(to, content, 0o600))
}

// newPair is a pair of files in a folder of its own.
func newPair(t *testing.T, a *testenv.Authority, name string) (certFile, keyFile string) {
	t.Helper()
	dir := t.TempDir()
	cert, key := a.Issue(name)
	certFile, keyFile = filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")
	copyFile(t, cert, certFile)
	copyFile(t, key, keyFile)
	return certFile, keyFile
}

// TestACertificateIsRenewed replaces the files in the ways there are; what does not fit together changes nothing.
func TestACertificateIsRenewed(t *testing.T) {
	t.Parallel()
	a := testenv.NewAuthority(t)
	certFile, keyFile := newPair(t, a, "first")
	log := new(buffer)
	c, err := NewCertificate(certFile, keyFile, textLogger(t, log))
	require.NoError(t, err)
	now := time.Now()
	inUse := func() string {
		now = now.Add(certificateInterval)
		c.renew(now)
		return c.current.Load().Leaf.Subject.CommonName
	}
	require.Equal(t, "first", inUse())

	otherCert, otherKey := newPair(t, a, "second")
	copyFile(t, otherCert, certFile)
	require.Equal(t, "first", inUse(), "the key is still the old one")
	require.Contains(t, log.String(), "can't be renewed")
	written := len(log.String())
	require.Equal(t, "first", inUse())
	require.Len(t, log.String(), written, "told once")
	copyFile(t, otherKey, keyFile)
	c.renew(now.Add(certificateInterval / 2))
	require.Equal(t, "first", c.current.Load().Leaf.Subject.CommonName, "not yet")
	require.Equal(t, "second", inUse())
	require.Contains(t, log.String(), "was renewed")

	require.NoError(t, os.Remove(certFile))
	require.Equal(t, "second", inUse())
	require.Contains(t, log.String(), certificateSetting+": ")
	require.NoError(t, os.WriteFile(certFile, []byte("nothing"), 0o600))
	require.Equal(t, "second", inUse())

	third, thirdKey := newPair(t, a, "third") // as Kubernetes does: a link moves
	require.NoError(t, os.Remove(certFile))
	require.NoError(t, os.Remove(keyFile))
	require.NoError(t, os.Symlink(third, certFile))
	require.NoError(t, os.Symlink(thirdKey, keyFile))
	require.Equal(t, "third", inUse())
	require.EqualValues(t, c.current.Load().Leaf.NotAfter.Unix(), testutil.ToFloat64(c))
}

func TestABadCertificateNamesItsSetting(t *testing.T) {
	t.Parallel()
	a := testenv.NewAuthority(t)
	cert, key := newPair(t, a, "one")
	_, other := newPair(t, a, "other")
	for _, c := range []struct{ cert, key, want string }{
		{cert + ".none", key, "PAIDUI_TLS_CERT_FILE: "},
		{cert, key + ".none", "PAIDUI_TLS_KEY_FILE: "},
		{cert, other, "PAIDUI_TLS_CERT_FILE " + cert + " with PAIDUI_TLS_KEY_FILE " + other},
		{key, cert, "PAIDUI_TLS_CERT_FILE " + key},
	} {
		_, err := NewCertificate(c.cert, c.key, textLogger(t, io.Discard))
		require.ErrorContains(t, err, c.want)
	}
	require.NoError(t, os.Chmod(key, 0o644))
	log := new(buffer)
	_, err := NewCertificate(cert, key, textLogger(t, log))
	require.NoError(t, err)
	require.Contains(t, log.String(), "open to every user")
}

// TestServeHTTPOverTLS does what a server does over TLS, with connections that are taken over and bounded.
func TestServeHTTPOverTLS(t *testing.T) {
	t.Parallel()
	a := testenv.NewAuthority(t)
	certFile, keyFile := newPair(t, a, "server")
	c, err := NewCertificate(certFile, keyFile, textLogger(t, io.Discard))
	require.NoError(t, err)
	registry := prometheus.NewRegistry()
	limit := defaultLimits()
	limit.read, limit.pressed = time.Hour, time.Hour
	s := serving(t, http.HandlerFunc(serveOrStream), time.Minute, limit, func(o *ServeOptions) {
		o.Layers, o.Registry = c.Listen, registry
		o.Connections = ConnectionLimits{Max: 8, PerAddress: 4}
	})
	pem, err := os.ReadFile(a.File)
	require.NoError(t, err)
	roots := x509.NewCertPool()
	require.True(t, roots.AppendCertsFromPEM(pem))
	trust := func() *tls.Config { return &tls.Config{RootCAs: roots, ServerName: "localhost"} }
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: trust(), ForceAttemptHTTP2: true}, Timeout: time.Minute}
	defer client.CloseIdleConnections()
	for range 2 {
		res, err := client.Get("https://" + s.addr)
		require.NoError(t, err)
		body, err := io.ReadAll(res.Body)
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
		require.Equal(t, []string{"HTTP/1.1", "served"}, []string{res.Proto, string(body)})
	}
	require.Eventually(t, func() bool { return metricOf(t, registry, "paidui_http_connections", "idle") == 1 }, time.Minute, time.Millisecond)

	old := trust()
	old.MaxVersion = tls.VersionTLS11
	_, err = tls.Dial("tcp", s.addr, old)
	require.Error(t, err)
	plain := dialFrom(t, "127.0.0.1", s.addr)
	_, err = io.WriteString(plain, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	require.NoError(t, err)
	require.Contains(t, answerOn(plain), "use https://")

	var streams []net.Conn
	for range 4 {
		conn, err := tls.Dial("tcp", s.addr, trust())
		require.NoError(t, err)
		_, err = io.WriteString(conn, "GET /stream HTTP/1.1\r\nHost: x\r\n\r\n")
		require.NoError(t, err)
		first := make([]byte, 1)
		_, err = conn.Read(first)
		require.NoError(t, err)
		streams = append(streams, conn)
	}
	require.Eventually(t, func() bool { return metricOf(t, registry, "paidui_http_connections", "waiting") == 4 }, time.Minute, time.Millisecond)
	_, err = tls.Dial("tcp", s.addr, trust())
	require.Error(t, err, "the address has its four")
	res, err := tls.DialWithDialer(&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}, "tcp", s.addr, trust())
	if err == nil { // Linux has 127.0.0.2
		require.NoError(t, res.Close())
	}
	require.NoError(t, s.stopped())
	for _, conn := range streams {
		_ = conn.Close() // the server has closed it
	}
}
