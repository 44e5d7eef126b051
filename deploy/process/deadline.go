package process

import (
	"io"
	"net/http"
	"time"
)

// writeDeadlines gives every write of h its own time to reach the client. http.Server's WriteTimeout would bound the
// whole response instead, and end long polls and event streams.
func writeDeadlines(h http.Handler, each time.Duration) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		dw := &deadlineWriter{ResponseWriter: w, control: http.NewResponseController(w), each: each}
		dw.extend()       // the connection still has the deadline of its previous request
		defer dw.extend() // what is buffered is written after the handler
		h.ServeHTTP(dw, r)
	})
}

// deadlineWriter extends the write deadline at each write. http.ResponseController finds the writer below it through
// Unwrap.
type deadlineWriter struct {
	http.ResponseWriter
	control *http.ResponseController
	each    time.Duration
}

// extend ignores writers that have no deadlines: they have no client that could be slow.
func (w *deadlineWriter) extend() { _ = w.control.SetWriteDeadline(time.Now().Add(w.each)) }

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
	return w.control.Flush()
}

// Flush is for handlers that ask for an http.Flusher.
func (w *deadlineWriter) Flush() {
	_ = w.FlushError() // http.Flusher has no error; the next write returns it
}

func (w *deadlineWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
