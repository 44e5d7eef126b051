package cache

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"
)

// StoreOptions tunes a Store. A zero field takes the default named beside it.
type StoreOptions struct {
	Replica    redis.UniversalClient // read where the primary fails; nil: none
	Announcer  Announcer             // makes the tasks of Write; nil: changes are applied after the commit only
	Registry   prometheus.Registerer // nil: no metrics
	Logger     *slog.Logger          // slog.Default()
	Near       int                   // values that each cache keeps in the process unless its Config says otherwise; 0: none
	NearExpiry time.Duration         // how long it keeps them at most; 1 s
}

// Store is the Redis that the caches of one process share, with all that stands between it and them. All methods may be
// called concurrently.
type Store struct {
	rdb    redis.UniversalClient
	opt    StoreOptions
	log    *slog.Logger
	health health
	slots  chan struct{} // of loads that run
	life   life

	mu       sync.RWMutex
	appliers map[string]Applier
}

// NewStore makes a Store over rdb, the primary. It makes no connection.
func NewStore(rdb redis.UniversalClient, opt StoreOptions) (*Store, error) {
	if rdb == nil {
		return nil, errors.New("cache: a store needs a Redis")
	}
	if opt.Near < 0 || opt.NearExpiry < 0 {
		return nil, fmt.Errorf("cache: Near is %d and NearExpiry %s; both must be 0 or more", opt.Near, opt.NearExpiry)
	}
	if opt.Logger == nil {
		opt.Logger = slog.Default()
	}
	if opt.NearExpiry == 0 {
		opt.NearExpiry = time.Second
	}
	return &Store{
		rdb:      rdb,
		opt:      opt,
		log:      opt.Logger,
		slots:    make(chan struct{}, parallelLoads),
		appliers: make(map[string]Applier),
	}, nil
}

// Redis is the primary, for appliers that keep structures of their own there.
func (s *Store) Redis() redis.UniversalClient { return s.rdb }

// names of caches stand before a space in messages, and in metrics.
var names = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._:-]{0,63}$`)

// Register lets changes of a's name reach it. Every Cache and List registers itself. It panics on a second one of the
// same name, and on a name that is not 1 to 64 of A-Z a-z 0-9 . _ : -
func (s *Store) Register(a Applier) {
	name := a.Name()
	if !names.MatchString(name) {
		panic(fmt.Sprintf("cache: %q is no name: want 1 to 64 of A-Z a-z 0-9 . _ : -", name))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.appliers[name] != nil {
		panic(fmt.Sprintf("cache: the store has a cache %q already", name))
	}
	s.appliers[name] = a
}

func (s *Store) applier(name string) Applier {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.appliers[name]
}

// warn logs at most one line a second: a Redis that is gone fails every read.
func (s *Store) warn(ctx context.Context, msg string, args ...any) {
	if s.health.mayLog(time.Now()) {
		s.log.WarnContext(ctx, msg, args...)
	}
}
