package server

import (
	"bytes"
	"fmt"
	"net"
	"net/http"
	"strconv"
)

// Envelopes returns ln with the answers of net/http itself in the API's envelope: those to requests that reach no handler,
// because they are malformed or their header is too large. The language is as in Options.Language.
func Envelopes(ln net.Listener, language string) net.Listener {
	return &envelopeListener{ln, languages[language]}
}

type envelopeListener struct {
	net.Listener
	language Language
}

func (l *envelopeListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &envelopeConn{conn, l.language}, nil
}

type envelopeConn struct {
	net.Conn
	language Language
}

// NetConn returns the wrapped connection.
func (c *envelopeConn) NetConn() net.Conn { return c.Conn }

// CloseWrite is called by http.Server, so that a client can read its answer before the connection is closed.
func (c *envelopeConn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

// Write writes p, or the envelope instead if p is an answer of net/http itself.
func (c *envelopeConn) Write(p []byte) (int, error) {
	status := plainAnswer(p)
	if status == 0 {
		return c.Conn.Write(p)
	}
	if _, err := c.Conn.Write(malformed(status, c.language)); err != nil {
		return 0, err
	}
	return len(p), nil
}

var (
	plainBegin = []byte("HTTP/1.1 ")
	// plainHeader follows the status line of what net/http writes to a connection itself, and of nothing else: an answer
	// of a handler has a Date.
	plainHeader = []byte("\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n")
)

// plainAnswer returns the status if p is an answer of net/http itself, or 0.
func plainAnswer(p []byte) int {
	const digits = 3
	rest, ok := bytes.CutPrefix(p, plainBegin)
	if !ok || len(rest) < digits || rest[0] != '4' && rest[0] != '5' {
		return 0
	}
	if line := bytes.IndexByte(rest, '\r'); line < 0 || !bytes.HasPrefix(rest[line:], plainHeader) {
		return 0
	}
	status, err := strconv.Atoi(string(rest[:digits]))
	if err != nil {
		return 0
	}
	return status
}

func malformed(status int, l Language) []byte {
	msg := Text{"请求不是合法的 HTTP", "the request is not valid HTTP"}
	switch status {
	case http.StatusRequestHeaderFieldsTooLarge:
		msg = Text{"请求头太大", "the request's header is too large"}
	case http.StatusNotImplemented:
		msg = Text{"不支持这种 Transfer-Encoding", "the Transfer-Encoding is not supported"}
	case http.StatusHTTPVersionNotSupported:
		msg = Text{"不支持这个 HTTP 版本", "the version of HTTP is not supported"}
	}
	body, _ := envelope{Code: status, Msg: msg.In(l)}.appendTo(nil) // strings have a JSON form
	var b bytes.Buffer
	fmt.Fprintf(&b, "HTTP/1.1 %d %s\r\n", status, http.StatusText(status))
	h := http.Header{
		"Content-Type": contentJSON, "Content-Length": {strconv.Itoa(len(body))}, "Content-Language": l.header(),
		"Cache-Control": noStore, "Connection": {"close"}, canonicalRequestID: {newRequestID()},
	}
	setSecurityHeaders(h)
	_ = h.Write(&b) // a buffer takes everything
	b.WriteString("\r\n")
	b.Write(body)
	return b.Bytes()
}
