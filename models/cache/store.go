package cache

import (
	"cmp"
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
	Timeout    time.Duration         // of one access to Redis, after which reads turn to the replica, with half of it, or the database; 500 ms
	Announcer  Announcer             // makes the tasks of Write; nil: changes are applied after the commit only
	Registry   prometheus.Registerer // nil: no metrics
	Logger     *slog.Logger          // slog.Default()
	Near       int                   // values that each cache keeps in the process unless its Config says otherwise; 0: none
	NoNear     bool                  // none, whatever a Config says
	NearExpiry time.Duration         // how long it keeps them at most; 1 s
	Loads      int                   // reads of the database at once; 16
	LoadQueue  int                   // that wait for their turn, beyond which they get a *BusyError; 1,024
}

// Store is the Redis that the caches of one process share, with all that stands between it and them. All methods may be
// called concurrently.
type Store struct {
	rdb         redis.UniversalClient
	opt         StoreOptions
	log         *slog.Logger
	metrics     *storeMetrics
	backends    backends
	reads       *reads
	loads       *loads
	database    breaker // of loads
	nulls       *nulls
	generations *generations // of what processes keep, by the messages about it
	began       time.Time
	lines       sync.Map // of the log: *throttle by message
	shutdown    shutdown

	mu           sync.RWMutex
	appliers     map[string]Applier
	subscription subscription
}

// NewStore makes a Store over rdb, the primary. It makes no connection.
func NewStore(rdb redis.UniversalClient, opt StoreOptions) (*Store, error) {
	if rdb == nil {
		return nil, errors.New("cache: a store needs a Redis")
	}
	if opt.Near < 0 || opt.Timeout < 0 || opt.NearExpiry < 0 || opt.Loads < 0 || opt.LoadQueue < 0 {
		return nil, fmt.Errorf("cache: Near is %d, Timeout %s, NearExpiry %s, Loads %d and LoadQueue %d; all must be 0 or more",
			opt.Near, opt.Timeout, opt.NearExpiry, opt.Loads, opt.LoadQueue)
	}
	if opt.Logger == nil {
		opt.Logger = slog.Default()
	}
	opt.Timeout = cmp.Or(opt.Timeout, accessTimeout)
	opt.NearExpiry = cmp.Or(opt.NearExpiry, time.Second)
	opt.Loads = cmp.Or(opt.Loads, parallelLoads)
	opt.LoadQueue = cmp.Or(opt.LoadQueue, waitingLoads)
	m, err := newStoreMetrics(opt.Registry)
	if err != nil {
		return nil, err
	}
	began := time.Now()
	s := &Store{
		rdb:         rdb,
		opt:         opt,
		log:         opt.Logger,
		metrics:     m,
		backends:    newBackends(rdb, opt, m),
		loads:       newLoads(opt.Loads, opt.LoadQueue, m.busy),
		nulls:       newNulls(began),
		generations: newGenerations(),
		began:       began,
		appliers:    make(map[string]Applier),
	}
	s.reads = newReads(s.backends.fetch)
	s.subscription = subscription{rdb: rdb, changed: s.changed, lost: s.lost, log: opt.Logger}
	return s, observe(opt.Registry, s.backends, s.loads, &s.database, s.subscription.stands.Load)
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

// warn logs at most one line of a message in a second: a Redis that is gone fails every read.
func (s *Store) warn(ctx context.Context, msg string, args ...any) {
	t, known := s.lines.Load(msg)
	if !known {
		t, _ = s.lines.LoadOrStore(msg, &throttle{})
	}
	if ok, more := t.(*throttle).allow(time.Now()); ok {
		s.log.WarnContext(ctx, msg, append(args, "more", more)...)
	}
}
