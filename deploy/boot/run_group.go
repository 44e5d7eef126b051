package boot

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

// Group runs the parts of a program side by side and stops them one after another. Add the parts in the order in
// which they are to stop: what takes work in first, what work depends on later, the admin server last, so that it
// answers during the drain.
//
// A Group is used once, from one goroutine but for End.
type Group struct {
	logger   *slog.Logger
	limit    time.Duration
	parts    []*part
	stopping chan struct{}
	ended    chan struct{} // closed by End
	end      sync.Once
}

// NewGroup makes a Group without parts. logger takes a line for each part that stops. limit is how long one part may
// take to stop before the next one is told to; it bounds Run, and should be a little longer than what a part needs to
// drain.
func NewGroup(logger *slog.Logger, limit time.Duration) *Group {
	return &Group{logger: logger, limit: limit, stopping: make(chan struct{}), ended: make(chan struct{})}
}

// End has Run stop all parts, as the end of its context does: the program has done what it was to do. Parts may call it.
func (g *Group) End() { g.end.Do(func() { close(g.ended) }) }

// Stopping is closed when the parts begin to be stopped.
func (g *Group) Stopping() <-chan struct{} { return g.stopping }

type part struct {
	name string
	run  func(context.Context) error
	stop context.CancelCauseFunc
	done chan struct{} // closed once err is set
	err  error
}

// Add adds a part. Its run is to return soon after its context ends, and not before; nil then means a clean stop.
func (g *Group) Add(name string, run func(ctx context.Context) error) {
	g.parts = append(g.parts, &part{name: name, run: run, done: make(chan struct{})})
}

// Run starts every part, waits until ctx ends, End is called, or a part returns, and stops all of them in the order in which they
// were added. It returns the errors of all parts, joined, each with its part's name: a part that returned before it
// was told to has failed even without an error, and so has one that did not stop within the limit, which is left behind.
func (g *Group) Run(ctx context.Context) error {
	returned := make(chan *part, len(g.parts))
	for _, p := range g.parts {
		// Values are kept, the end of ctx is not: each part is told on its turn.
		own, stop := context.WithCancelCause(context.WithoutCancel(ctx))
		p.stop = stop
		go func() {
			p.err = p.run(own)
			close(p.done)
			returned <- p
		}()
	}

	var errs []error
	cause := context.Canceled
	select {
	case <-ctx.Done():
		cause = context.Cause(ctx)
	case <-g.ended:
	case p := <-returned:
		if p.err == nil || onlyCanceled(p.err) {
			errs = append(errs, fmt.Errorf("%s: stopped by itself", p.name))
		}
		g.logger.Error("stopping, for a part has failed", "part", p.name, "error", p.err)
	}
	close(g.stopping)
	for _, p := range g.parts {
		if err := g.stop(p, cause); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", p.name, err))
		}
	}
	return errors.Join(errs...)
}

// stop ends one part and returns its error; that its context was canceled is none.
func (g *Group) stop(p *part, cause error) error {
	start := time.Now()
	p.stop(cause)
	select {
	case <-p.done:
	case <-time.After(g.limit):
		g.logger.Error("did not stop in time", "part", p.name, "limit", g.limit)
		return fmt.Errorf("did not stop within %s", g.limit)
	}
	if p.err != nil && !onlyCanceled(p.err) {
		return p.err
	}
	g.logger.Info("stopped", "part", p.name, "took", time.Since(start))
	return nil
}
