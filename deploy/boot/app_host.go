package boot

import (
	"context"
	"net"

	"github.com/paidui/paidui/models/redisx/embedded"
)

// Host is the program that an application's Open adds to. Its methods are for the time of that call.
type Host struct {
	Deps
	HTTPAddr net.Addr // the API's; nil in a program without one
	URL      string   // at which a program on this machine calls the API; "" in a program without one

	env *Env
}

// Check adds a check of readiness, which is called concurrently, for 2 s at most.
func (h *Host) Check(name string, check func(ctx context.Context) error) { h.env.checks[name] = check }

// Notes adds to what /readyz says is wrong but does not keep the program from its work. It is called as a check.
func (h *Host) Notes(name string, notes func(ctx context.Context) []string) {
	h.env.notes[name] = notes
}

// Run adds a part that runs until its context ends. It stops after the API, the worker and the scheduler, and before the
// stores are closed. With an error of any part all stop.
func (h *Host) Run(name string, run func(ctx context.Context) error) {
	h.env.parts = append(h.env.parts, ownPart{name, run})
}

// Close adds what is called when all parts have stopped, the last first, or when the program does not start.
func (h *Host) Close(end func() error) { h.env.closers = append(h.env.closers, end) }

// Connections counts the connections that the application's own stores may have, n more, so that clients of the API do not
// use up the descriptors which these need.
func (h *Host) Connections(n int) { h.env.ownConnections += n }

// Await calls try until it succeeds, for PAIDUI_STARTUP_WAIT at most: see WaitFor. An error of a Redis or a database URL
// ends it at once.
func (h *Host) Await(ctx context.Context, name string, try func(ctx context.Context) error) error {
	return WaitFor(ctx, h.Logger, name, h.Config.StartupWait, func(ctx context.Context) error { return markFatal(try(ctx)) })
}

// EmbeddedRedis is the URL of a database of the Redis in this process, which local has for what no URL is set for. Database 1
// is the broker's. What is in it is gone when the program ends.
func (h *Host) EmbeddedRedis(ctx context.Context, db int) (string, error) {
	return h.env.embedded.url(ctx, db)
}

// ownPart is what runs beside the framework's parts.
type ownPart struct {
	name string
	run  func(context.Context) error
}

// embeddedRedis is a Redis in this process, which is started when it is first needed.
type embeddedRedis struct{ redis *embedded.Redis }

func (e *embeddedRedis) url(ctx context.Context, db int) (string, error) {
	if e.redis == nil {
		// It outlives ctx: the parts that drain still need it.
		r, err := embedded.Start(context.WithoutCancel(ctx))
		if err != nil {
			return "", err
		}
		e.redis = r
	}
	return e.redis.URL(db), nil
}

// started tells whether both ends of connections are here.
func (e *embeddedRedis) started() bool { return e.redis != nil }

func (e *embeddedRedis) close() {
	if e.redis != nil {
		e.redis.Close()
	}
}
