package process

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"
)

// limits are the bounds of a server.
type limits struct {
	read  time.Duration // to read a request with its body; a second limit, for the header, would cost a timer more
	write time.Duration // for one write to reach the client
	idle  time.Duration // between two requests of a connection
	bytes int           // of a header
}

func defaultLimits() limits {
	return limits{read: 10 * time.Second, write: 30 * time.Second, idle: 2 * time.Minute, bytes: 64 << 10}
}

// ServeHTTP serves h on ln until ctx ends, then drains: it stops accepting, and requests have the drain time to
// finish. Their contexts end a fifth of that time before it is over, but no less than a second (or half of it), and
// at its end they are cut off. It closes ln, and returns nil when every request was finished.
//
// A request must have arrived within 10 s, its header of at most 64 KiB included. There is no limit to how long a
// handler takes, so that long polls and server-sent events live, but each of its writes must reach the client within
// 30 s. A handler that waits for something returns when Draining says so; one that has taken over its connection closes it
// then.
func ServeHTTP(ctx context.Context, ln net.Listener, h http.Handler, logger *slog.Logger, drain time.Duration) error {
	return serve(ctx, ln, h, logger, drain, defaultLimits())
}

type drainingKey struct{}

// Draining returns a channel that is closed when the server of a request begins to drain; ctx is the request's. In
// any other context it returns nil, which never is.
func Draining(ctx context.Context) <-chan struct{} {
	draining, _ := ctx.Value(drainingKey{}).(chan struct{})
	return draining
}

func serve(ctx context.Context, ln net.Listener, h http.Handler, logger *slog.Logger, drain time.Duration, limit limits) error {
	draining := make(chan struct{})
	requests, end := context.WithCancel(context.WithValue(context.WithoutCancel(ctx), drainingKey{}, draining))
	defer end()
	taken := new(hijacked)
	srv := &http.Server{
		Handler:        h,
		ReadTimeout:    limit.read,
		IdleTimeout:    limit.idle,
		MaxHeaderBytes: limit.bytes,
		BaseContext:    func(net.Listener) context.Context { return requests },
		ConnState:      taken.changed,
		ErrorLog:       slog.NewLogLogger(logger.Handler(), slog.LevelWarn),
	}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(taken.watch(writeDeadlines(ln, limit.write))) }()
	logger.Info("listening", "addr", ln.Addr().String())

	select {
	case err := <-served:
		_ = srv.Close() // err is the one that counts
		return fmt.Errorf("serve %s: %w", ln.Addr(), err)
	case <-ctx.Done():
	}
	logger.Info("draining", "addr", ln.Addr().String(), "cause", context.Cause(ctx).Error(), "limit", drain)
	close(draining)
	// Shutdown looks for finished requests every half second, which is what the second is for.
	hurry := time.AfterFunc(drain-max(drain/5, min(drain/2, time.Second)), end)
	defer hurry.Stop()
	bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), drain)
	defer cancel()
	err := srv.Shutdown(bounded)
	if err == nil {
		err = taken.wait(bounded)
	}
	if errors.Is(err, context.DeadlineExceeded) {
		_ = srv.Close() // what it reports is what it was called for
		_ = taken.wait(bounded)
		err = fmt.Errorf("drain %s: requests were cut off after %s", ln.Addr(), drain)
	}
	<-served
	return err
}
