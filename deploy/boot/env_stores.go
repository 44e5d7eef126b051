package boot

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"gorm.io/gorm"

	"github.com/paidui/paidui/models"
	"github.com/paidui/paidui/models/cache"
	"github.com/paidui/paidui/models/redisx"
	"github.com/paidui/paidui/tasks/broker"
	"github.com/paidui/paidui/tasks/catalog"
)

// storeOptions says where the stores are. A URL that is "" leaves its store nil.
type storeOptions struct {
	brokerURL, cacheURL, databaseURL string
	replicaURL                       string        // of the cache; "" finds those of a sentinel or a cluster
	noPipelining, noWakeUp           bool          // of the broker
	createDatabase                   bool          // make the MySQL database if the server lacks it
	wait                             time.Duration // for each store, at most
	logger                           *slog.Logger
}

// Stores are the open connections to what all programs keep their state in.
type Stores struct {
	Broker       *broker.Broker
	Cache        redis.UniversalClient
	CacheReplica redis.UniversalClient // nil where the cache has none; may be away
	DB           *gorm.DB

	rights map[string]*redisx.Rights // of the broker and the cache, by those names
}

// openStores connects to each store in turn. A store that does not answer is tried again until the wait has passed; a
// setting that is wrong ends the attempt at once. On an error nothing stays open.
func openStores(ctx context.Context, o storeOptions) (*Stores, error) {
	s := &Stores{}
	steps := []struct {
		name, url string
		try       func(context.Context) error
	}{
		{"database", o.databaseURL, func(ctx context.Context) error { return s.tryDatabase(ctx, o) }},
		{"broker", o.brokerURL, func(ctx context.Context) (err error) {
			s.Broker, err = broker.Open(ctx, o.brokerURL, broker.Options{
				Logger:       o.logger,
				NoPipelining: o.noPipelining,
				NoWakeUp:     o.noWakeUp,
			})
			return err
		}},
		{"cache", o.cacheURL, func(ctx context.Context) (err error) {
			s.Cache, err = redisx.Connect(ctx, cacheSetting, o.cacheURL)
			return err
		}},
		{"replica of the cache", o.cacheURL, func(ctx context.Context) error { return s.openReplica(ctx, o) }},
	}
	for _, step := range steps {
		if step.url == "" {
			continue
		}
		try := func(ctx context.Context) error { return markFatal(step.try(ctx)) }
		if err := WaitFor(ctx, o.logger, step.name, o.wait, try); err != nil {
			return nil, errors.Join(err, s.close())
		}
	}
	s.learnRights(ctx, o.logger)
	return s, nil
}

func (s *Stores) tryDatabase(ctx context.Context, o storeOptions) (err error) {
	s.DB, err = models.Open(ctx, o.databaseURL, models.Options{Logger: o.logger, CreateDatabase: o.createDatabase})
	return err
}

// openDatabase is openStores for the database alone, which close then closes, too.
func (s *Stores) openDatabase(ctx context.Context, o storeOptions) error {
	try := func(ctx context.Context) error { return markFatal(s.tryDatabase(ctx, o)) }
	return WaitFor(ctx, o.logger, "database", o.wait, try)
}

// learnRights asks the Redis servers what they refuse, and has it logged.
func (s *Stores) learnRights(ctx context.Context, logger *slog.Logger) {
	s.rights = make(map[string]*redisx.Rights)
	if s.Broker != nil {
		s.rights["broker"] = s.Broker.Rights()
	}
	if s.Cache != nil {
		needs := func() []redisx.Need { return cache.Needs(catalog.CacheKeys()...) }
		s.rights["cache"] = redisx.NewRights(cacheSetting, s.Cache, needs, logger)
	}
	for _, r := range s.rights {
		r.Lacks(ctx)
	}
}

// replicaWait is how long the start waits for a replica.
const replicaWait = 2 * time.Second

// openReplica opens the cache's replica, if it has one. The program can do without: that it does not answer is logged.
func (s *Stores) openReplica(ctx context.Context, o storeOptions) (err error) {
	setting, url := replicaSetting, o.replicaURL
	if url == "" {
		setting, url = cacheSetting, o.cacheURL
		if strings.HasPrefix(url, "redis://") || strings.HasPrefix(url, "rediss://") {
			return nil
		}
	}
	ctx, cancel := context.WithTimeout(ctx, replicaWait)
	defer cancel()
	var away error
	s.CacheReplica, away, err = redisx.ConnectReplica(ctx, setting, url)
	if away != nil {
		o.logger.WarnContext(ctx, "the replica of the cache does not answer; it will be tried when it is needed", "error", away)
	}
	return err
}

// markFatal tells errors in the configuration, which waiting does not mend, from servers that are not up yet.
func markFatal(err error) error {
	var urlErr *redisx.URLError
	if errors.As(err, &urlErr) || errors.Is(err, models.ErrConfig) {
		return Fatal(err)
	}
	return err
}

// close ends all connections.
func (s *Stores) close() error {
	var errs []error
	if s.Cache != nil {
		errs = append(errs, hangUp("cache", s.Cache))
	}
	if s.CacheReplica != nil {
		errs = append(errs, hangUp("replica of the cache", s.CacheReplica))
	}
	if s.Broker != nil {
		errs = append(errs, hangUp("broker", s.Broker))
	}
	if s.DB != nil {
		errs = append(errs, models.Close(s.DB))
	}
	return errors.Join(errs...)
}

// hangUp closes the connections to a server. That it has gone, and can't be told of the end, as TLS would, is no error.
func hangUp(name string, connections io.Closer) error {
	err := connections.Close()
	var gone *net.OpError
	if err == nil || errors.As(err, &gone) {
		return nil
	}
	return fmt.Errorf("close %s: %w", name, err)
}

// checks are the readiness checks of the stores that are open.
func (s *Stores) checks() map[string]func(context.Context) error {
	checks := make(map[string]func(context.Context) error)
	if s.DB != nil {
		checks["database"] = func(ctx context.Context) error { return models.Ping(ctx, s.DB) }
	}
	if s.Broker != nil {
		checks["broker"] = s.Broker.Ping
	}
	if s.Cache != nil {
		checks["cache"] = func(ctx context.Context) error { return s.Cache.Ping(ctx).Err() }
	}
	for name, rights := range s.rights {
		checks[name+" rights"] = rights.Check
	}
	return checks
}

// notes are what the stores do worse than they could.
func (s *Stores) notes() map[string]func(context.Context) []string {
	notes := make(map[string]func(context.Context) []string)
	for name, rights := range s.rights {
		notes[name] = rights.Notes
	}
	return notes
}
