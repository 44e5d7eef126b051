package process

import (
	"context"
	"io"
	"net"
	"net/http"
	"time"
)

// writeDeadlines gives every write of h its own time to reach the client, up to a sixteenth more. http.Server's
// WriteTimeout would bound the whole response instead, and end long polls and event streams.
func writeDeadlines(h http.Handler, each time.Duration) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, ok := r.Context().Value(connDeadlineKey{}).(*connDeadline)
		if !ok {
			h.ServeHTTP(w, r) // no connection, no client that could be slow
			return
		}
		dw := &deadlineWriter{ResponseWriter: w, conn: conn, each: each}
		dw.extend()       // the connection still has the deadline of its previous request
		defer dw.extend() // what is buffered is written after the handler
		h.ServeHTTP(dw, r)
	})
}

// connDeadline is the write deadline of a connection, which HTTP/1 uses for one request at a time.
type connDeadline struct {
	conn net.Conn
	at   time.Time
}

type connDeadlineKey struct{}

// withDeadline is a server's ConnContext; writeDeadlines needs it.
func withDeadline(ctx context.Context, conn net.Conn) context.Context {
	return context.WithValue(ctx, connDeadlineKey{}, &connDeadline{conn: conn})
}

// deadlineWriter extends the write deadline at each write. http.ResponseController finds the writer below it through
// Unwrap.
type deadlineWriter struct {
	http.ResponseWriter
	conn *connDeadline
	each time.Duration
}

// extend sets the deadline a little later than it must be, so that the next writes need not. That the connection takes
// none, because it is closed, the write itself will tell.
func (w *deadlineWriter) extend() {
	now := time.Now()
	most := w.each + w.each/16
	if left := w.conn.at.Sub(now); w.each <= left && left <= most {
		return
	}
	_ = w.SetWriteDeadline(now.Add(most))
}

// SetWriteDeadline is what http.ResponseController calls. It holds until the next write.
func (w *deadlineWriter) SetWriteDeadline(at time.Time) error {
	w.conn.at = at
	return w.conn.conn.SetWriteDeadline(at)
}

func (w *deadlineWriter) Write(p []byte) (int, error) {
	w.extend()
	return w.ResponseWriter.Write(p)
}

func (w *deadlineWriter) WriteString(s string) (int, error) {
	w.extend()
	return io.WriteString(w.ResponseWriter, s)
}

// FlushError is what http.ResponseController calls.
func (w *deadlineWriter) FlushError() error {
	w.extend()
	return http.NewResponseController(w.ResponseWriter).Flush()
}

// Flush is for handlers that ask for an http.Flusher.
func (w *deadlineWriter) Flush() {
	_ = w.FlushError() // http.Flusher has no error; the next write returns it
}

func (w *deadlineWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
