package server

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/paidui/paidui/models/lazyctx"
	"github.com/paidui/paidui/tasks"
)

// request is what is known of a request, and its context. The fields are the handler's goroutine's own; the methods
// are safe for concurrent use.
//
// Its deadline costs a timer and a place in the server's context only once something waits for it, and its id a value in
// a context only once something asks for one, which an answer from memory never does.
type request struct {
	context.Context // the server's

	begun    time.Time
	id       string
	user     int64 // 0 when nobody is logged in
	operator bool
	page     bool // answered by the page
	shed     bool // refused, for there are too many
	waits    bool // for a task, for as long as the client wants
	parked   bool // goes on with a request of its own
	detached bool // that one: it never ends by itself
	language language

	admission admission // at its route's gate
	sampled   sample    // whether the log has a line of its failure

	timeout lazyctx.End

	mu    sync.Mutex
	named context.Context // the server's with the id; nil until something asks

	header [1]string // the value of X-Request-Id
}

type requestKey struct{}

// begin gives the request an id: the client's X-Request-ID when it is harmless, else a new one. The answer, the log
// and the tasks that the request enqueues carry it. standard is the language unless it asks for another.
func begin(c echo.Context, standard language) *request {
	r := c.Request()
	id := first(r.Header[canonicalRequestID])
	if !safeRequestID(id) {
		id = newRequestID()
	}
	state := &request{
		Context:  r.Context(),
		begun:    time.Now(),
		id:       id,
		language: acceptedLanguage(first(r.Header["Accept-Language"]), standard),
	}
	state.header[0] = id
	c.Response().Header()[canonicalRequestID] = state.header[:]
	c.SetRequest(r.WithContext(state))
	return state
}

// first is what Header.Get finds, which brings the name into its canonical form at each call.
func first(values []string) string {
	if len(values) == 0 {
		return ""
	}
	return values[0]
}

// newRequestID draws 128 bits: enough to tell requests apart, and no secret.
func newRequestID() string {
	var b [16]byte
	binary.NativeEndian.PutUint64(b[:8], rand.Uint64())
	binary.NativeEndian.PutUint64(b[8:], rand.Uint64())
	return hex.EncodeToString(b[:])
}

const canonicalRequestID = "X-Request-Id"

func safeRequestID(id string) bool {
	for i := range len(id) {
		switch b := id[i]; {
		case 'a' <= b && b <= 'z', 'A' <= b && b <= 'Z', '0' <= b && b <= '9':
		case b == '.', b == '_', b == ':', b == '@', b == '/', b == '+', b == '=', b == '-':
		default:
			return false
		}
	}
	return 1 <= len(id) && len(id) <= 128
}

// requestOf is what begin made.
func requestOf(c echo.Context) *request {
	return c.Request().Context().Value(requestKey{}).(*request)
}

// limit ends the context when the request is as old as the timeout. It must come before anything waits.
func (r *request) limit(timeout time.Duration) { r.timeout.SetDeadline(r.begun.Add(timeout)) }

// end ends the context.
func (r *request) end() { r.timeout.Close(r.Context) }

// withID is the server's context with the request's id.
func (r *request) withID() context.Context {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.named == nil {
		r.named = tasks.WithRequestID(r.Context, r.id)
	}
	return r.named
}

// Done starts the deadline.
func (r *request) Done() <-chan struct{} {
	if r.detached {
		return nil
	}
	return r.timeout.Done(r.withID())
}

// Err agrees with Done.
func (r *request) Err() error {
	if r.detached {
		return nil
	}
	return r.timeout.Err(r.Context)
}

// Deadline is when the work must be over.
func (r *request) Deadline() (time.Time, bool) { return r.timeout.Deadline(r.Context) }

// Value finds the request itself, and what package context looks for in the context that ends.
func (r *request) Value(key any) any {
	if key == (requestKey{}) {
		return r
	}
	if timed := r.timeout.Timed(); timed != nil {
		return timed.Value(key)
	}
	return r.withID().Value(key)
}
