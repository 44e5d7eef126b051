package boot

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// limits are the bounds of a server.
type limits struct {
	read    time.Duration // to read a request with its body; a second limit, for the header, would cost a timer more
	pressed time.Duration // to send the first header, when there is no room for other connections
	write   time.Duration // for one write to reach the client
	idle    time.Duration // between two requests of a connection
	bytes   int           // of a header
}

func defaultLimits() limits {
	return limits{read: 10 * time.Second, pressed: time.Second, write: 30 * time.Second, idle: 2 * time.Minute, bytes: 64 << 10}
}

// ServeOptions says how ServeHTTP logs and stops.
type ServeOptions struct {
	Logger *slog.Logger  // must be set
	Delay  time.Duration // how long it goes on as ever after it was told to stop, so that clients learn to go elsewhere
	Drain  time.Duration // how long requests may then take to finish

	Connections ConnectionLimits
	Registry    prometheus.Registerer // where the metrics of connections go; nowhere when nil

	// Layers puts what it likes around accepted connections, below HTTP, such as TLS. Its connections have the method
	// NetConn. Nil puts nothing.
	Layers func(net.Listener) net.Listener
}

// ServeHTTP serves h on ln until ctx ends, and then stops in two steps. For the delay it goes on: Leaving says so, and
// answers ask the client to close its connection and so to look for another server. Then it drains: it stops accepting
// and closes idle connections, and requests have the drain time to finish. Their contexts end a fifth of that time
// before it is over, but no less than a second (or half of it), and at its end they are cut off. It closes ln, and
// returns nil when every request was finished.
//
// A request must have arrived within 10 s, its header of at most 64 KiB included. There is no limit to how long a
// handler takes, so that long polls and server-sent events live, but each of its writes must reach the client within
// 30 s. A handler that waits for something returns when Draining says so; one that has taken over its connection closes it
// then. Connections beyond the limits are closed at once, after those that can be spared: idle ones first, those of the
// address that has most before others, and then those that have not sent a header for a second.
func ServeHTTP(ctx context.Context, ln net.Listener, h http.Handler, o ServeOptions) error {
	return serve(ctx, ln, h, o, defaultLimits())
}

// stages are how far a server has come in stopping.
type stages struct{ leaving, draining chan struct{} }

type stagesKey struct{}

// Leaving returns a channel that is closed when the server of a request is told to stop, from when on no new clients
// should come; ctx is the request's. In any other context it returns nil, which never is.
func Leaving(ctx context.Context) <-chan struct{} {
	if s, ok := ctx.Value(stagesKey{}).(*stages); ok {
		return s.leaving
	}
	return nil
}

// Draining returns a channel that is closed when the server of a request begins to drain; ctx is the request's. In
// any other context it returns nil, which never is.
func Draining(ctx context.Context) <-chan struct{} {
	if s, ok := ctx.Value(stagesKey{}).(*stages); ok {
		return s.draining
	}
	return nil
}

func serve(ctx context.Context, ln net.Listener, h http.Handler, o ServeOptions, limit limits) error {
	stage := &stages{leaving: make(chan struct{}), draining: make(chan struct{})}
	requests, end := context.WithCancel(context.WithValue(context.WithoutCancel(ctx), stagesKey{}, stage))
	defer end()
	open := &connections{limits: o.Connections, pressed: limit.pressed, logger: o.Logger, peers: make(map[netip.Addr]*peer)}
	var err error
	if open.metrics, err = newConnectionMetrics(o.Registry, open); err != nil {
		return errors.Join(err, ln.Close())
	}
	layers := open.listen(ln)
	if o.Layers != nil {
		layers = o.Layers(layers)
	}
	srv := &http.Server{
		Handler:        lastAnswers(stage.leaving, h),
		ReadTimeout:    limit.read,
		IdleTimeout:    limit.idle,
		MaxHeaderBytes: limit.bytes,
		BaseContext:    func(net.Listener) context.Context { return requests },
		ConnState:      open.changed,
		ErrorLog:       slog.NewLogLogger(o.Logger.Handler(), slog.LevelWarn),
	}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(writeDeadlines(layers, limit.write)) }()
	o.Logger.Info("listening", "addr", ln.Addr().String())

	lost := func(err error) error {
		_ = srv.Close() // err is the one that counts
		return fmt.Errorf("serve %s: %w", ln.Addr(), err)
	}
	select {
	case err := <-served:
		return lost(err)
	case <-ctx.Done():
	}
	close(stage.leaving)
	if o.Delay > 0 {
		o.Logger.Info("leaving", "addr", ln.Addr().String(), "cause", context.Cause(ctx).Error(), "delay", o.Delay)
		select {
		case err := <-served:
			return lost(err)
		case <-time.After(o.Delay):
		}
	}
	o.Logger.Info("draining", "addr", ln.Addr().String(), "cause", context.Cause(ctx).Error(), "limit", o.Drain)
	close(stage.draining)
	// Shutdown looks for finished requests every half second, which is what the second is for.
	hurry := time.AfterFunc(o.Drain-max(o.Drain/5, min(o.Drain/2, time.Second)), end)
	defer hurry.Stop()
	bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), o.Drain)
	defer cancel()
	err = srv.Shutdown(bounded)
	if err == nil {
		err = open.waitForHijacked(bounded)
	}
	if errors.Is(err, context.DeadlineExceeded) {
		_ = srv.Close() // what it reports is what it was called for
		_ = open.waitForHijacked(bounded)
		err = fmt.Errorf("drain %s: requests were cut off after %s", ln.Addr(), o.Drain)
	}
	<-served
	return err
}

// lastAnswers makes each answer the last of its connection once the server is leaving. A client that is busy so moves
// on by itself; were all connections closed at once instead, requests that are just being sent would be lost.
func lastAnswers(leaving <-chan struct{}, h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-leaving:
			w.Header()["Connection"] = []string{"close"}
		default:
		}
		h.ServeHTTP(w, r)
	})
}
