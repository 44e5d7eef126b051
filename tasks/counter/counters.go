package counter

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/singleflight"
	"gorm.io/gorm"

	"github.com/paidui/paidui/models/cache"
	"github.com/paidui/paidui/tasks"
	"github.com/paidui/paidui/tasks/profiles"
)

// Options are what Counters work with.
type Options struct {
	DB    *gorm.DB
	Store *cache.Store
	// Profiles are what rankings show of users.
	Profiles *profiles.Profiles
	// Tasks enqueues refresh.counters when it is needed; nil: somebody else does.
	Tasks *tasks.Client
	// Logger is slog.Default() when nil.
	Logger *slog.Logger
}

// Counters are the counts of all users. They are safe for concurrent use.
type Counters struct {
	store       *cache.Store
	profiles    *profiles.Profiles
	tasks       *tasks.Client
	log         *slog.Logger
	redisCounts redisCounts
	source      source
	db          database

	meter    cache.Meter
	flight   singleflight.Group
	rankings rankings
	fallback map[Kind]*cache.List[Place] // rankings while the sorted sets can't be relied on
	askedAt  atomic.Int64                // when refresh.counters was enqueued last, Unix ns
}

// New makes the counters of a migrated database, and registers them with the store.
func New(opt Options) *Counters {
	if opt.Logger == nil {
		opt.Logger = slog.Default()
	}
	c := &Counters{
		store:       opt.Store,
		profiles:    opt.Profiles,
		tasks:       opt.Tasks,
		log:         opt.Logger,
		redisCounts: redisCounts{opt.Store.Redis()},
		source:      database{opt.DB},
		db:          database{opt.DB},
		meter:       opt.Store.Meter(applier),
		rankings:    rankings{latest: make(map[Kind]*ranking)},
		fallback:    make(map[Kind]*cache.List[Place]),
	}
	for _, k := range Kinds() {
		c.fallback[k] = c.newPlaces(k)
	}
	opt.Store.Register(c)
	return c
}

// Name implements cache.Applier.
func (c *Counters) Name() string { return applier }

// errFrozen says that a reconciliation holds a user for longer than it should take.
var errFrozen = errors.New("the user's counts are being compared with the database")

// How long and how often Apply looks whether a user is still frozen.
const (
	frozenPatience = 2 * time.Second
	frozenLook     = 5 * time.Millisecond
)

// Apply implements cache.Applier: it counts the changes of a task, each once, whatever becomes of the others.
func (c *Counters) Apply(ctx context.Context, task string, ids []string) error {
	byKind, err := sumByUser(ids)
	errs := []error{err}
	o := originOf(task)
	users, late := make(map[int64]bool), false
	for _, k := range Kinds() {
		shares := byKind[k]
		if len(shares) == 0 {
			continue
		}
		what, err := c.applyKind(ctx, k, o, shares)
		late = late || what == lateForMark
		errs = append(errs, err)
		for _, s := range shares {
			users[s.user] = true
		}
	}
	// After the counts, so that nobody computes anew from the old ones.
	errs = append(errs, c.drop(ctx, users))
	if late {
		c.log.InfoContext(ctx, "a change came too late to be counted; its users will be counted in the database", "task_id", task)
		c.ask(ctx, Args{Suspects: true})
	}
	return errors.Join(errs...)
}

// applyKind waits while one of the users is frozen.
func (c *Counters) applyKind(ctx context.Context, k Kind, o origin, shares []share) (outcome, error) {
	for begun := time.Now(); ; {
		var what outcome
		err := c.store.Use(ctx, func(ctx context.Context, rdb redis.UniversalClient) (err error) {
			what, err = redisCounts{rdb}.apply(ctx, k, o, shares)
			return err
		})
		if err != nil || what != frozen {
			return what, err
		}
		if time.Since(begun) > frozenPatience {
			return what, fmt.Errorf("count %s: %w", k, errFrozen)
		}
		timer := time.NewTimer(frozenLook)
		select {
		case <-ctx.Done():
			timer.Stop()
			return what, fmt.Errorf("count %s: %w: %w", k, errFrozen, context.Cause(ctx))
		case <-timer.C:
		}
	}
}

// How often a process asks for a reconciliation at most, and how long that may take.
const (
	askEvery    = 10 * time.Second
	askPatience = time.Second
)

// ask enqueues refresh.counters, unless it is there already. An error is logged: somebody will ask again.
func (c *Counters) ask(ctx context.Context, args Args) {
	now, last := time.Now().UnixNano(), c.askedAt.Load()
	if c.tasks == nil || now < last+int64(askEvery) || !c.askedAt.CompareAndSwap(last, now) {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), askPatience)
	defer cancel()
	_, err := Reconcile.Enqueue(ctx, c.tasks, args)
	if err != nil && !errors.Is(err, tasks.ErrDuplicate) {
		c.log.WarnContext(ctx, "refresh.counters could not be enqueued; readers will try again", "error", err)
	}
}

// shared runs f for all who want the same at the same time, beside them: each waits no longer than its own ctx.
func shared[T any](ctx context.Context, c *Counters, what string, f func(ctx context.Context) (T, error)) (T, error) {
	done := c.flight.DoChan(what, func() (result any, err error) {
		over := make(chan struct{})
		runs := c.store.Go(ctx, func(ctx context.Context) {
			defer close(over)
			result, err = f(ctx)
		})
		if !runs {
			return nil, cache.ErrClosed
		}
		<-over
		return result, err
	})
	var none T
	select {
	case <-ctx.Done():
		return none, context.Cause(ctx)
	case r := <-done:
		if r.Err != nil {
			return none, r.Err
		}
		return r.Val.(T), nil
	}
}
