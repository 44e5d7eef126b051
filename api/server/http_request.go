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
	"github.com/paidui/paidui/tasks/audit"
)

// request is the state of a request, and its context. Only the handler's goroutine may use the fields; the methods are
// safe for concurrent use.
//
// The deadline's timer is made when something first waits for the context, and the context value with the id when
// something first asks for a value. An answer from memory needs neither.
type request struct {
	context.Context // the server's

	server   *Server
	begun    time.Time
	id       string
	identity Identity
	page     bool // answered by Application.Web
	shed     bool // refused because of overload
	waits    bool // for a task, as long as the client wants: not logged as slow
	hijacked bool // its connection was taken from net/http; a detached request goes on with it
	detached bool // of a hijacked connection: its context never ends
	language Language

	admission admission   // at its route's limiter
	body      *bodyReader // of a route that takes one
	sampled   sample      // whether the log has a line of its failure
	act       *audit.Act  // of a route of acts
	answered  answered    // as far as it is answered

	timeout lazyctx.End

	mu    sync.Mutex
	named context.Context // the server's with the id; nil until something asks

	header [1]string // the value of X-Request-Id
}

// answered is what the audit log has of an answer.
type answered struct {
	Code   int
	TaskID string
}

type requestKey struct{}

// beginRequest gives the request an id: the client's X-Request-ID when it is harmless, else a new one. The answer, the log
// and the tasks that the request enqueues carry it. fallback is the language of a request that asks for none.
func beginRequest(c echo.Context, s *Server, fallback Language) *request {
	r := c.Request()
	id := firstValue(r.Header[canonicalRequestID])
	if !safeRequestID(id) {
		id = newRequestID()
	}
	state := &request{
		Context:  r.Context(),
		server:   s,
		begun:    time.Now(),
		id:       id,
		language: acceptedLanguage(firstValue(r.Header["Accept-Language"]), fallback),
	}
	state.header[0] = id
	c.Response().Header()[canonicalRequestID] = state.header[:]
	c.SetRequest(r.WithContext(state))
	return state
}

// firstValue does what Header.Get does, without bringing the name into its canonical form at each call.
func firstValue(values []string) string {
	if len(values) == 0 {
		return ""
	}
	return values[0]
}

// newRequestID draws 128 random bits: enough to be unique, but not a secret.
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

// requestOf returns the state that beginRequest made. It panics in a handler of another server.
func requestOf(c echo.Context) *request {
	r := stateOf(c)
	if r == nil {
		panic("server: the request did not come through a Server's Handler")
	}
	return r
}

// stateOf is requestOf, or nil in a handler of another server.
func stateOf(c echo.Context) *request {
	r, _ := c.Request().Context().Value(requestKey{}).(*request)
	return r
}

// setTimeout ends the context when the request is as old as the timeout. It must come before anything waits.
func (r *request) setTimeout(timeout time.Duration) { r.timeout.SetDeadline(r.begun.Add(timeout)) }

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

// Done starts the deadline's timer.
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
