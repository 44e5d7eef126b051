package server

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"
)

// parkAfter is how long a request waits before it is parked. Most waits are shorter, and their connection serves on.
const parkAfter = 250 * time.Millisecond

// park lets the handler go on outside of net/http, whose buffers and goroutines for a connection take several times the
// memory, so that ten thousand clients can wait; after it the connection is closed. How long a write may take is up to
// the connection, as ever. The handler gets a context that does
// not end, and asks gone whether the client is there. Where a connection can't be had, as with HTTP/2, it runs here.
func (s *Server) park(c echo.Context, handler echo.HandlerFunc) error {
	conn, _, err := c.Response().Hijack()
	if err != nil {
		return handler(c)
	}
	state := requestOf(c)
	parked := &request{
		Context: context.WithoutCancel(state.Context), detached: true,
		begun: state.begun, id: state.id, user: state.user, operator: state.operator, language: state.language,
		waits: state.waits,
	}
	w := &parkedWriter{conn: conn, header: c.Response().Header(), head: c.Request().Method == http.MethodHead}
	own := s.echo.NewContext(c.Request().WithContext(parked), w)
	own.SetPath(c.Path())
	state.parked = true
	c.Response().Writer = nil // or Echo's pool would keep net/http's buffers
	go func() {
		defer conn.Close()
		defer s.metrics.inFlight.Dec()
		if err := s.attempt(own, handler); err != nil {
			s.fail(own, err)
		}
		s.observe(own)
		_ = w.end() // a client that is gone misses nothing
	}()
	return nil
}

// gone reports whether the client of a parked request has closed its connection. Any other's context tells.
func gone(c echo.Context) bool {
	w, ok := c.Response().Writer.(*parkedWriter)
	if !ok {
		return false
	}
	const look = time.Millisecond
	var b [1]byte
	if err := w.conn.SetReadDeadline(time.Now().Add(look)); err != nil {
		return true
	}
	_, err := w.conn.Read(b[:])
	return err != nil && !errors.Is(err, os.ErrDeadlineExceeded)
}

// parkedWriter answers one request on a bare connection. What is written goes out with Flush, or at the end.
type parkedWriter struct {
	conn   net.Conn
	header http.Header
	head   bool // a HEAD: the body is only measured
	status int  // 0 before WriteHeader
	begun  bool
	body   []byte
}

func (w *parkedWriter) Header() http.Header { return w.header }

func (w *parkedWriter) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
}

func (w *parkedWriter) Write(p []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	w.body = append(w.body, p...)
	return len(p), nil
}

// FlushError is what http.ResponseController calls.
func (w *parkedWriter) FlushError() error {
	w.WriteHeader(http.StatusOK)
	var out []byte
	if !w.begun {
		w.begun = true
		out = w.headers()
	}
	if !w.head {
		out = append(out, w.body...)
	}
	w.body = nil
	_, err := w.conn.Write(out)
	return err
}

// Flush is what echo.Response calls.
func (w *parkedWriter) Flush() { _ = w.FlushError() } // the next write returns the error

// end sends what is left. An answer that was not begun before has a length.
func (w *parkedWriter) end() error {
	if w.begun && len(w.body) == 0 {
		return nil
	}
	if !w.begun {
		w.header["Content-Length"] = []string{strconv.Itoa(len(w.body))}
	}
	return w.FlushError()
}

func (w *parkedWriter) headers() []byte {
	w.header["Connection"] = []string{"close"}
	w.header["Date"] = []string{time.Now().UTC().Format(http.TimeFormat)}
	var b bytes.Buffer
	fmt.Fprintf(&b, "HTTP/1.1 %d %s\r\n", w.status, http.StatusText(w.status))
	_ = w.header.Write(&b) // a buffer takes everything
	b.WriteString("\r\n")
	return b.Bytes()
}
