package shop

import (
	"context"
	"log/slog"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/paidui/paidui/deploy/boot"
	"github.com/paidui/paidui/models/cache"
	"github.com/paidui/paidui/models/redisx"
	"github.com/paidui/paidui/tasks/catalog"
	"github.com/paidui/paidui/tasks/refresh"
)

// caches are the Redis of the caches, and the one store on it.
type caches struct {
	primary redis.UniversalClient
	replica redis.UniversalClient // nil where there is none; may be away
	rights  *redisx.Rights
	store   *cache.Store
}

// openCaches connects to the Redis of the caches, and makes their store, which hears what other processes change until the
// parts that read it have stopped.
func (p *program) openCaches(ctx context.Context, h *boot.Host) error {
	s, c := p.settings, &p.caches
	if err := h.Await(ctx, "cache", func(ctx context.Context) error { return c.connect(ctx, s.CacheURL.Reveal()) }); err != nil {
		return err
	}
	h.Close(func() error { return boot.HangUp("cache", c.primary) })
	if err := h.Await(ctx, "replica of the cache", func(ctx context.Context) error {
		return c.openReplica(ctx, h.Logger, s.CacheURL.Reveal(), s.CacheReplicaURL.Reveal())
	}); err != nil {
		return err
	}
	if c.replica != nil {
		h.Close(func() error { return boot.HangUp("replica of the cache", c.replica) })
	}
	h.Connections(boot.RedisConnections(c.primary) + boot.RedisConnections(c.replica))
	c.rights = redisx.NewRights(cacheSetting, c.primary, func() []redisx.Need { return cache.Needs(catalog.CacheKeys()...) }, h.Logger)
	c.rights.Lacks(ctx) // which has it logged what the server refuses
	h.Check("cache", func(ctx context.Context) error { return c.primary.Ping(ctx).Err() })
	h.Check("cache rights", c.rights.Check)
	h.Notes("cache", c.rights.Notes)

	var err error
	c.store, err = cache.NewStore(c.primary, cache.StoreOptions{
		Announcer:  refresh.Announcer{},
		Replica:    c.replica,
		Registry:   h.Registry,
		Logger:     h.Logger,
		Near:       s.CacheNear,
		NoNear:     s.CacheNear == 0 || s.CacheNearExpiry == 0,
		NearExpiry: s.CacheNearExpiry,
	})
	if err != nil {
		return err
	}
	// Closing it ends what the caches read of the database for nobody any more.
	h.Close(func() error { c.store.Close(); return nil })
	h.Run("cache", c.store.Run)
	return nil
}

func (c *caches) connect(ctx context.Context, url string) (err error) {
	c.primary, err = redisx.Connect(ctx, cacheSetting, url)
	return err
}

// replicaWait is how long the start waits for a replica.
const replicaWait = 2 * time.Second

// openReplica opens the cache's replica, if it has one: at url, or when that is "" the one that a sentinel or a cluster
// finds. The program can do without: that it does not answer is logged.
func (c *caches) openReplica(ctx context.Context, logger *slog.Logger, primary, url string) (err error) {
	setting := replicaSetting
	if url == "" {
		setting, url = cacheSetting, primary
		if strings.HasPrefix(url, "redis://") || strings.HasPrefix(url, "rediss://") {
			return nil
		}
	}
	ctx, cancel := context.WithTimeout(ctx, replicaWait)
	defer cancel()
	var away error
	c.replica, away, err = redisx.ConnectReplica(ctx, setting, url)
	if away != nil {
		logger.WarnContext(ctx, "the replica of the cache does not answer; it will be tried when it is needed", "error", away)
	}
	return err
}
