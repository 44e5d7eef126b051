package boot

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"sync/atomic"
)

// front serves one address for the whole life of the program: what it shows can change while it serves, so that it
// answers already while the program starts.
type front struct {
	name    string
	handler atomic.Pointer[http.Handler]
	end     context.CancelCauseFunc
	served  chan error // gives the outcome once, then nil
}

// openFront serves h on ln until the front is closed, whatever becomes of ctx. It closes ln.
func openFront(ctx context.Context, name string, ln net.Listener, h http.Handler, o ServeOptions) *front {
	f := &front{name: name, served: make(chan error, 1)}
	f.swapHandler(h)
	serving, end := context.WithCancelCause(context.WithoutCancel(ctx))
	f.end = end
	current := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { (*f.handler.Load()).ServeHTTP(w, r) })
	o.Logger = o.Logger.With("server", name)
	go func() {
		defer close(f.served)
		if err := ServeHTTP(serving, ln, current, o); err != nil {
			f.served <- fmt.Errorf("%s server: %w", name, err)
		}
	}()
	return f
}

// swapHandler has h answer new requests.
func (f *front) swapHandler(h http.Handler) { f.handler.Store(&h) }

// run is the front as a part of the program: it drains when ctx ends.
func (f *front) run(ctx context.Context) error {
	select {
	case err := <-f.served:
		return err
	case <-ctx.Done():
		return f.close(context.Cause(ctx))
	}
}

// close drains, for the cause that the log is to name, and returns what became of the serving unless it was told
// before. It may be called again.
func (f *front) close(cause error) error {
	f.end(cause)
	return <-f.served
}
