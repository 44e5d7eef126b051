package refresh

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"gorm.io/gorm"

	"github.com/paidui/paidui/models/cache"
	"github.com/paidui/paidui/tasks"
)

// The sizes of a batch of All.
const (
	DefaultBatch = 500
	MaxBatch     = 5000
)

// AllArgs name the cache whose values All rewrites.
type AllArgs struct {
	Cache string `json:"cache" jsonschema:"users, articles, banners, or another cache of this program"`
	Batch int    `json:"batch,omitempty" jsonschema:"how many values at a time: 1 to 5000; 500 when absent"`
}

// Validate implements tasks.Validator.
func (a AllArgs) Validate() error {
	if err := checkText("cache", a.Cache, MaxCacheName); err != nil {
		return err
	}
	if a.Batch < 0 || a.Batch > MaxBatch {
		return &tasks.ArgsError{Field: "batch", Msg: fmt.Sprintf("%d is not between 1 and %d", a.Batch, MaxBatch)}
	}
	return nil
}

// AllResult says what All did.
type AllResult struct {
	Cache     string `json:"cache"`
	Rewritten int64  `json:"rewritten"` // values stored; one that a write or another run overtook is not counted
}

// All rewrites every value of a cache from the database, in batches by id and with progress. It may run beside traffic:
// no fill of it can bring back what a write has made untrue. One that has not ended stands for the next with the same
// arguments, so that a schedule faster than its run makes no pile. A run that is interrupted, or
// that is tried again, goes on where it was. Values of rows that are gone from the database are left to their expiry.
var All = tasks.Define[AllArgs, AllResult]("refresh.all",
	tasks.Queue("cache"),
	tasks.Priority(tasks.Low),
	tasks.MaxRetries(20),
	tasks.Backoff(time.Second, time.Minute),
	tasks.SnoozeFor(tasks.StoreAway()),
	tasks.Timeout(12*time.Hour),
	tasks.UniqueFor(12*time.Hour),
	tasks.Retention(24*time.Hour),
)

// Kind is a cache whose values All can rewrite.
type Kind struct {
	Name string
	// Total is about how many values there are.
	Total func(ctx context.Context) (int64, error)
	// Next rewrites the values of the first rows above the id after, as many as n. It tells how many rows it read, the id
	// of the last one, and how many values it stored. Fewer rows than n are the last ones.
	Next func(ctx context.Context, after int64, n int) (step Step, err error)
}

// Step is what one call of Kind.Next did.
type Step struct {
	Read   int
	Last   int64 // meaningless with Read 0
	Stored int
}

// TableKind is the kind of a cache with a value for each row of model's table, by the row's id.
func TableKind[T any](name string, db *gorm.DB, model any, c *cache.Cache[int64, T]) Kind {
	return Kind{
		Name: name,
		Total: func(ctx context.Context) (n int64, err error) {
			err = db.WithContext(ctx).Model(model).Count(&n).Error
			return n, err
		},
		Next: func(ctx context.Context, after int64, n int) (Step, error) {
			var ids []int64
			err := db.WithContext(ctx).Model(model).Where("id > ?", after).Order("id").Limit(n).Pluck("id", &ids).Error
			if err != nil || len(ids) == 0 {
				return Step{}, err
			}
			stored, err := c.Refresh(ctx, ids...)
			return Step{Read: len(ids), Last: ids[len(ids)-1], Stored: stored}, err
		},
	}
}

// rewriter runs All.
type rewriter struct {
	store *cache.Store
	kinds map[string]Kind
}

// newRewriter panics on two kinds of a name.
func newRewriter(store *cache.Store, kinds []Kind) rewriter {
	r := rewriter{store: store, kinds: make(map[string]Kind, len(kinds))}
	for _, k := range kinds {
		if _, taken := r.kinds[k.Name]; taken {
			panic(fmt.Sprintf("refresh: two kinds are called %q", k.Name))
		}
		r.kinds[k.Name] = k
	}
	return r
}

func (r rewriter) run(ctx context.Context, a AllArgs) (AllResult, error) {
	result := AllResult{Cache: a.Cache}
	kind, known := r.kinds[a.Cache]
	if !known {
		return result, tasks.Permanent(fmt.Errorf("refresh.all: there is no cache %q to rewrite; there are %s",
			a.Cache, strings.Join(slices.Sorted(maps.Keys(r.kinds)), ", ")))
	}
	batch := a.Batch
	if batch == 0 {
		batch = DefaultBatch
	}
	total, err := kind.Total(ctx)
	if err != nil {
		return result, fmt.Errorf("refresh.all: counting %s: %w", kind.Name, err)
	}
	place := bookmark{rdb: r.store.Redis(), key: "paidui:refresh:" + tasks.Current(ctx).ID}
	at, err := place.read(ctx)
	if err != nil {
		return result, fmt.Errorf("refresh.all: %w", err)
	}
	for {
		if err := tasks.Progress(ctx, at.read, max(total, at.read), kind.Name); err != nil {
			return result, err // another worker has the task
		}
		step, err := kind.Next(ctx, at.last, batch)
		if err != nil {
			return result, fmt.Errorf("refresh.all: %s above id %d: %w", kind.Name, at.last, err)
		}
		at = position{last: max(at.last, step.Last), read: at.read + int64(step.Read), stored: at.stored + int64(step.Stored)}
		if step.Read < batch {
			break
		}
		if err := place.write(ctx, at); err != nil {
			return result, fmt.Errorf("refresh.all: %w", err)
		}
	}
	result.Rewritten = at.stored
	place.remove(ctx)
	return result, tasks.Progress(ctx, at.read, at.read, kind.Name)
}

// position is how far a run of All is.
type position struct {
	last, read, stored int64
}

// bookmark keeps the position of a run, for the next attempt to go on from.
type bookmark struct {
	rdb redis.UniversalClient
	key string
}

// bookmarkFor is longer than a run waits between two attempts.
const bookmarkFor = 24 * time.Hour

func (b bookmark) read(ctx context.Context) (p position, err error) {
	text, err := b.rdb.Get(ctx, b.key).Result()
	if errors.Is(err, redis.Nil) {
		return p, nil
	}
	if err != nil {
		return p, fmt.Errorf("reading how far the last attempt came: %w", err)
	}
	for i, field := range strings.Fields(text) {
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil || n < 0 || i > 2 {
			return position{}, nil // not ours: begin anew
		}
		*[]*int64{&p.last, &p.read, &p.stored}[i] = n
	}
	return p, nil
}

func (b bookmark) write(ctx context.Context, p position) error {
	text := fmt.Sprintf("%d %d %d", p.last, p.read, p.stored)
	if err := b.rdb.Set(ctx, b.key, text, bookmarkFor).Err(); err != nil {
		return fmt.Errorf("noting how far this attempt came: %w", err)
	}
	return nil
}

// remove drops the bookmark. If it fails, that expires.
func (b bookmark) remove(ctx context.Context) { _ = b.rdb.Del(ctx, b.key).Err() }
