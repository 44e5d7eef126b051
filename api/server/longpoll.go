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

// longpollAfter is how long a request waits before longpoll takes it over. Most waits are shorter, and keep their connection.
const longpollAfter = 250 * time.Millisecond

// longpoll takes the connection from net/http and runs the handler on it in a goroutine of its own, which takes a fraction of
// the memory, so that ten thousand clients can wait. The connection is closed afterwards. Write deadlines are those of the
// connection, as before. The handler gets a context that does not end; it calls gone to learn whether the client is still
// there. Where the connection cannot be taken, as with HTTP/2, the handler runs in the caller's goroutine.
func (s *Server) longpoll(c echo.Context, handler echo.HandlerFunc) error {
	conn, _, err := c.Response().Hijack()
	if err != nil {
		return handler(c)
	}
	state := requestOf(c)
	detached := &request{
		Context: context.WithoutCancel(state.Context), detached: true,
		server: state.server, begun: state.begun, id: state.id, identity: state.identity, language: state.language,
		waits: state.waits,
	}
	w := &longpollWriter{conn: conn, header: c.Response().Header(), head: c.Request().Method == http.MethodHead}
	own := s.echo.NewContext(c.Request().WithContext(detached), w)
	own.SetPath(c.Path())
	state.hijacked = true
	c.Response().Writer = nil // or Echo's pool would keep net/http's buffers
	go func() {
		defer conn.Close()
		defer s.metrics.inFlight.Dec()
		if err := s.callHandler(own, handler); err != nil {
			s.fail(own, err)
		}
		s.observe(own)
		_ = w.end() // fails when the client is gone: nobody reads it
	}()
	return nil
}

// gone reports whether the client of a hijacked connection has closed it. It is false on any other: there the context ends.
func gone(c echo.Context) bool {
	w, ok := c.Response().Writer.(*longpollWriter)
	if !ok {
		return false
	}
	const readTimeout = time.Millisecond
	var b [1]byte
	if err := w.conn.SetReadDeadline(time.Now().Add(readTimeout)); err != nil {
		return true
	}
	_, err := w.conn.Read(b[:])
	return err != nil && !errors.Is(err, os.ErrDeadlineExceeded)
}

// longpollWriter writes one HTTP/1.1 answer to a hijacked connection. It buffers until Flush, or the end.
type longpollWriter struct {
	conn   net.Conn
	header http.Header
	head   bool // a HEAD: the body is only measured
	status int  // 0 before WriteHeader
	begun  bool
	body   []byte
}

func (w *longpollWriter) Header() http.Header { return w.header }

func (w *longpollWriter) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
}

func (w *longpollWriter) Write(p []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	w.body = append(w.body, p...)
	return len(p), nil
}

// FlushError is what http.ResponseController calls.
func (w *longpollWriter) FlushError() error {
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
func (w *longpollWriter) Flush() { _ = w.FlushError() } // the next write returns the error

// end sends what is buffered, with a Content-Length if nothing was sent before.
func (w *longpollWriter) end() error {
	if w.begun && len(w.body) == 0 {
		return nil
	}
	if !w.begun {
		w.header["Content-Length"] = []string{strconv.Itoa(len(w.body))}
	}
	return w.FlushError()
}

func (w *longpollWriter) headers() []byte {
	w.header["Connection"] = []string{"close"}
	w.header["Date"] = []string{time.Now().UTC().Format(http.TimeFormat)}
	var b bytes.Buffer
	fmt.Fprintf(&b, "HTTP/1.1 %d %s\r\n", w.status, http.StatusText(w.status))
	_ = w.header.Write(&b) // a buffer takes everything
	b.WriteString("\r\n")
	return b.Bytes()
}
