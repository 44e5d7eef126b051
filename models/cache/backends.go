package cache

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/paidui/paidui/models/away"
)

// accessTimeout is what one access to the primary may take, unless the store's options say otherwise; one to the replica
// may take half of it.
const accessTimeout = 500 * time.Millisecond

// ErrAway says that the cache's Redis does not answer, or that it has not been asked because it did not answer just now.
var ErrAway error = &away.Error{Err: errors.New("the cache's Redis does not answer")}

// Read runs f, which only reads, on the primary, and where that does not answer on the replica; so f may run twice. f
// returns what its commands returned: redis.Nil and other answers of a Redis that is well come back as they are. ErrAway
// means that no Redis answered. While one does not, Read is quick about it, but for one caller in each second. What a
// replica says may lag behind the last commits.
func (s *Store) Read(ctx context.Context, f func(ctx context.Context, rdb redis.UniversalClient) error) error {
	_, err := s.backends.read(ctx, f)
	return err
}

// onPrimary runs f on the primary alone.
func (s *Store) onPrimary(ctx context.Context, f func(ctx context.Context, rdb redis.UniversalClient) error) error {
	return s.backends.primary.use(ctx, f)
}

// server is one Redis, or several that a client makes look like one, with the breaker that all its users share.
type server struct {
	role    string // primary or replica
	rdb     redis.UniversalClient
	timeout time.Duration
	nodes   *nodes  // of a cluster, for the primary; else nil
	breaker breaker // of a cluster: for what no node is to blame for
	log     *slog.Logger
	metrics *storeMetrics
	lines   throttle
}

// errBreakerOpen is the error while the breaker keeps callers away.
var errBreakerOpen = errors.New("it failed a moment ago and is left alone for now")

// use calls f with a client and a time limit, unless the breaker is open. An error that is no *awayError is f's own, or
// the caller's ctx's.
func (s *server) use(ctx context.Context, f func(context.Context, redis.UniversalClient) error) error {
	if !s.breaker.allow(time.Now()) {
		return &awayError{s.role, errBreakerOpen}
	}
	limited, cancel := context.WithTimeout(ctx, s.timeout)
	if s.nodes != nil {
		limited = s.nodes.mark(limited, ctx)
	}
	err := f(limited, s.rdb)
	cancel()
	var blamed *nodeError
	switch {
	case !unreachable(err):
		if s.breaker.answered() {
			s.log.InfoContext(ctx, "the cache answers again", "server", s.role)
		}
		return err
	case ctx.Err() != nil: // the caller gave up, which says nothing about the server
		return fmt.Errorf("reading the cache: %w", context.Cause(ctx))
	case !errors.As(err, &blamed):
		s.failed(&s.breaker, err)
	}
	return &awayError{s.role, err}
}

// failed notes that the server, or a node of it, did not answer.
func (s *server) failed(b *breaker, err error) {
	s.metrics.errors.WithLabelValues(s.role).Inc()
	opened := b.failed(time.Now())
	if ok, more := s.lines.allow(time.Now()); ok || opened {
		s.log.Warn("the cache does not answer", "server", s.role, "left_alone", b.open(), "error", err, "more", more)
	}
}

// resting reports whether the server, or a node of it, is left alone.
func (s *server) resting() bool { return s.breaker.open() || s.nodes != nil && s.nodes.resting() }

// awayError says that one server does not answer.
type awayError struct {
	role  string
	cause error
}

func (e *awayError) Error() string   { return fmt.Sprintf("%v: %s: %v", ErrAway, e.role, e.cause) }
func (e *awayError) Unwrap() []error { return []error{ErrAway, e.cause} }

// unreachable reports whether err says that the server, not the command, is the trouble. One that has no room for more can still
// be read, and asked to forget.
func unreachable(err error) bool {
	if err == nil || errors.Is(err, redis.Nil) {
		return false
	}
	var reply redis.Error
	if !errors.As(err, &reply) {
		return true
	}
	return redis.IsLoadingError(err) || redis.IsMasterDownError(err) || redis.IsClusterDownError(err) ||
		redis.IsTryAgainError(err) || redis.IsMaxClientsError(err) || redis.IsAuthError(err) || redis.IsReadOnlyError(err) ||
		redis.IsNoReplicasError(err)
}

func newBackends(primary redis.UniversalClient, opt StoreOptions, m *storeMetrics) backends {
	b := backends{primary: &server{role: "primary", rdb: primary, timeout: opt.Timeout, log: opt.Logger, metrics: m}}
	if cluster, ok := primary.(*redis.ClusterClient); ok {
		b.primary.nodes = newNodes(b.primary, cluster)
	}
	if opt.Replica != nil {
		b.replica = &server{role: "replica", rdb: opt.Replica, timeout: opt.Timeout / 2, log: opt.Logger, metrics: m}
		if cluster, ok := opt.Replica.(*redis.ClusterClient); ok {
			cluster.AddHook(replicaHook{cluster})
		}
	}
	return b
}

// backends are the primary and, where there is one, the replica.
type backends struct {
	primary *server
	replica *server // nil: none
}

// read calls f on the primary and, where that does not answer, on the replica; what that says may lag behind the last
// commits. f may run twice. The error is f's own, the caller's ctx's, or ErrAway.
func (b backends) read(ctx context.Context, f func(context.Context, redis.UniversalClient) error) (degraded bool, err error) {
	err = b.primary.use(ctx, f)
	var gone *awayError
	if !errors.As(err, &gone) {
		return false, err
	}
	if b.replica == nil {
		return true, err
	}
	second := b.replica.use(ctx, f)
	if errors.As(second, &gone) {
		return true, fmt.Errorf("%w; %w", err, second)
	}
	return true, second
}
