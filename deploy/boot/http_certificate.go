package boot

import (
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// The settings that name a certificate's files, for errors.
const (
	certificateSetting = "PAIDUI_TLS_CERT_FILE"
	keySetting         = "PAIDUI_TLS_KEY_FILE"
)

// certificateInterval is how often the files are read at most.
const certificateInterval = time.Second

// Certificate is a server's certificate with its key, from PEM files that may be replaced in any way while the server
// runs: a handshake reads them again when that was not done for a second. While they do not fit together, which is logged,
// the last ones that did are used. It is safe for concurrent use, and a prometheus.Collector.
type Certificate struct {
	certFile, keyFile string
	logger            *slog.Logger
	current           atomic.Pointer[tls.Certificate]

	mu     sync.Mutex // held by the handshake that reads
	readAt time.Time
	seen   [sha256.Size]byte // digest of what was read last, or of why it was not
}

// NewCertificate reads the files. An error names the setting that is at fault.
func NewCertificate(certFile, keyFile string, logger *slog.Logger) (*Certificate, error) {
	c := &Certificate{certFile: certFile, keyFile: keyFile, logger: logger, readAt: time.Now()}
	pair, seen, err := c.read()
	if err != nil {
		return nil, err
	}
	c.current.Store(pair)
	c.seen = seen
	if info, err := os.Stat(keyFile); err == nil && info.Mode().Perm()&0o007 != 0 && runtime.GOOS != "windows" {
		logger.Warn("the key of the certificate is open to every user of the machine; mode 0400 or 0440 is enough",
			"file", keyFile, "mode", fmt.Sprintf("%04o", info.Mode().Perm()))
	}
	return c, nil
}

// read reads both files. What it has seen differs when the files, or what is wrong with them, do.
func (c *Certificate) read() (pair *tls.Certificate, seen [sha256.Size]byte, err error) {
	cert, err := os.ReadFile(c.certFile)
	if err != nil {
		err = fmt.Errorf("%s: %w", certificateSetting, err)
		return nil, sha256.Sum256([]byte(err.Error())), err
	}
	key, err := os.ReadFile(c.keyFile)
	if err != nil {
		err = fmt.Errorf("%s: %w", keySetting, err)
		return nil, sha256.Sum256([]byte(err.Error())), err
	}
	seen = sha256.Sum256(append(append(cert, 0), key...))
	own, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return nil, seen, fmt.Errorf("%s %s with %s %s: %w", certificateSetting, c.certFile, keySetting, c.keyFile, err)
	}
	return &own, seen, nil
}

// renew reads the files again, if that is due.
func (c *Certificate) renew(now time.Time) {
	if !c.mu.TryLock() {
		return // another handshake does
	}
	defer c.mu.Unlock()
	if now.Sub(c.readAt) < certificateInterval {
		return
	}
	c.readAt = now
	pair, seen, err := c.read()
	if seen == c.seen {
		return
	}
	c.seen = seen
	if err != nil {
		c.logger.Error("the certificate can't be renewed; the last good one is used on", "error", err)
		return
	}
	c.current.Store(pair)
	c.logger.Info("the certificate was renewed", "subject", pair.Leaf.Subject.String(), "not_after", pair.Leaf.NotAfter)
}

// Listen speaks TLS 1.2 or 1.3 on the connections of ln, and HTTP/1.1 alone: over HTTP/2 a request that waits could not be
// taken out of net/http, and connections would not count requests. Its connections have the method NetConn.
func (c *Certificate) Listen(ln net.Listener) net.Listener {
	return &tlsListener{ln, &tls.Config{
		MinVersion: tls.VersionTLS12,
		NextProtos: []string{"http/1.1"},
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			c.renew(time.Now())
			return c.current.Load(), nil
		},
	}}
}

type tlsListener struct {
	net.Listener
	config *tls.Config
}

// Accept does not wait for the handshake, which the first read makes.
func (l *tlsListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &tlsConn{tls.Server(conn, l.config)}, nil
}

type tlsConn struct{ *tls.Conn }

// plainRefused answers a client that does not speak TLS.
const plainRefused = "HTTP/1.1 400 Bad Request\r\nContent-Type: application/json; charset=utf-8\r\nConnection: close\r\n\r\n" +
	`{"code":400,"msg":"请使用 https:// (use https://)","data":null}` + "\n"

// Read tells a client that speaks plain HTTP so; the connection then ends.
func (c *tlsConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	var plain tls.RecordHeaderError
	if errors.As(err, &plain) && plain.Conn != nil {
		_, _ = io.WriteString(plain.Conn, plainRefused) // it is closed in any case
		return 0, io.EOF
	}
	return n, err
}

var expiryDesc = prometheus.NewDesc("paidui_http_certificate_expiry_timestamp_seconds",
	"When the certificate in use expires, as a Unix time.", nil, nil)

// Describe is for prometheus.
func (c *Certificate) Describe(ch chan<- *prometheus.Desc) { ch <- expiryDesc }

// Collect is for prometheus.
func (c *Certificate) Collect(ch chan<- prometheus.Metric) {
	ch <- prometheus.MustNewConstMetric(expiryDesc, prometheus.GaugeValue, float64(c.current.Load().Leaf.NotAfter.Unix()))
}
