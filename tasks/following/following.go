package following

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"golang.org/x/sync/singleflight"
	"gorm.io/gorm"

	"github.com/paidui/paidui/models/cache"
)

const (
	// Bound is how many entries of a list Redis holds at most: the newest.
	Bound = 100_000
	// MaxPerPage bounds a page.
	MaxPerPage = 100
	// MaxPage bounds the number of a page.
	MaxPage = 1_000_000
	// AwayBound is how deep into a list, in entries, List goes while Redis is away.
	AwayBound = 10_000
)

var (
	// ErrSelf refuses users who follow themselves.
	ErrSelf = errors.New("nobody follows himself")
	// ErrNoTarget says that there is no user to follow.
	ErrNoTarget = errors.New("there is no such user to follow")
	// ErrNoUser says that there is no user who could follow.
	ErrNoUser = errors.New("there is no such user who follows")
	// ErrTooDeep says that a page beyond AwayBound was asked for while Redis is away. It is there again when Redis is.
	ErrTooDeep = errors.New("so deep a page is not read from the database while the cache is away")
)

// Options are what Followings work with.
type Options struct {
	// Exists tells whether a user exists; it may be wrong for a moment. Required.
	Exists func(ctx context.Context, user int64) (bool, error)
	// Counted gives what else changes in the cache when the user begins to follow the target, or with by -1 ceases to.
	// Nil: nothing.
	Counted func(user, target int64, by int) []cache.Change
	Logger  *slog.Logger // slog.Default() when nil
}

// Followings are the lists of whom users follow. All methods may be called concurrently.
type Followings struct {
	store *cache.Store
	db    *gorm.DB
	rows  rows
	opt   Options
	log   *slog.Logger
	meter cache.Meter
	loads singleflight.Group

	bound    int // entries of a list in Redis
	patience time.Duration
	now      func() time.Time
	sleep    func(context.Context, time.Duration) error
}

// New makes the lists over a database and the caches' Redis, and registers them with the store.
func New(store *cache.Store, db *gorm.DB, opt Options) *Followings {
	if opt.Logger == nil {
		opt.Logger = slog.Default()
	}
	if opt.Counted == nil {
		opt.Counted = func(int64, int64, int) []cache.Change { return nil }
	}
	f := &Followings{
		store: store, db: db, rows: rows{db}, opt: opt, log: opt.Logger, meter: store.Meter(name),
		bound: Bound, patience: patience, now: time.Now, sleep: sleep,
	}
	store.Register(f)
	return f
}

// Name implements cache.Applier.
func (f *Followings) Name() string { return name }

const name = "followings"
