package cache

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"time"

	"github.com/google/uuid"
	"gorm.io/gorm"

	"github.com/paidui/paidui/models"
)

// Change names something cached that a write made untrue. Its task takes an ID of 1 to 256 bytes of UTF-8.
type Change struct {
	Cache string `json:"cache"` // the applier's name
	ID    string `json:"id"`    // the applier's own text for what changed
}

// MaxChanges is how many changes one task has applied: Write makes as many tasks as it takes.
const MaxChanges = 1000

// Applier makes what it caches true after a commit. Apply is repeated until it returns nil, or nothing but what Malformed
// is true of; task is the id of the write's task. The same changes of the same task may be applied several times, right
// after the commit and by the task, even at the same time, and must then do no harm.
type Applier interface {
	Name() string
	Apply(ctx context.Context, task string, ids []string) error
}

// Announcer makes, in the transaction of tx, the task that has up to MaxChanges changes applied: if, and only if, it
// commits.
type Announcer interface {
	Announce(ctx context.Context, tx *gorm.DB, changes []Change) (task string, err error)
}

// applyTimeout bounds what a writer waits for the cache after its commit.
const applyTimeout = 3 * time.Second

// Write runs f in a transaction of db, in which it also makes the tasks that apply the changes that f returns, one for
// MaxChanges of them, and applies them at once after the commit: when Write returns, the caches are true, unless Redis
// failed, this process was in the way of its end, or so many changes took more than three seconds; the tasks make them
// true then. That is logged, and no error of Write's. A write that changed nothing returns no changes, and makes no task.
//
// Where db is in a transaction already, of a database that models.Open returned, Write is a part of it, and the changes
// are applied when it commits.
func (s *Store) Write(ctx context.Context, db *gorm.DB, f func(tx *gorm.DB) ([]Change, error)) error {
	var after func() // what is left to do after the commit
	err := db.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		changes, err := f(tx)
		if err != nil || len(changes) == 0 {
			return err
		}
		all, err := s.announce(ctx, tx, changes)
		if err != nil {
			return fmt.Errorf("announcing what changes in the cache: %w", err)
		}
		apply := func() { s.applyNow(ctx, all) }
		if !models.AfterCommit(tx, apply) {
			after = apply
		}
		return nil
	})
	if err == nil && after != nil {
		after()
	}
	return err
}

// taskChanges are the changes of one task.
type taskChanges struct {
	task    string
	changes []Change
}

// announce makes the tasks of changes.
func (s *Store) announce(ctx context.Context, tx *gorm.DB, changes []Change) (all []taskChanges, err error) {
	for some := range slices.Chunk(changes, MaxChanges) {
		task := uuid.Must(uuid.NewV7()).String() // which tells its time, as the ids of tasks do
		if s.opt.Announcer != nil {
			if task, err = s.opt.Announcer.Announce(ctx, tx, some); err != nil {
				return nil, err
			}
		}
		all = append(all, taskChanges{task, some})
	}
	return all, nil
}

// applyNow is the attempt right after a commit, which has happened even if the request is over.
func (s *Store) applyNow(ctx context.Context, all []taskChanges) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), applyTimeout)
	defer cancel()
	for _, p := range all {
		if err := s.Apply(ctx, p.task, p.changes); err != nil {
			s.warn(ctx, "a change is committed but not yet in the cache; its task will see to it",
				"task_id", p.task, "error", err)
		}
	}
}

// Apply makes the caches true after the commit of changes, whose task has that id; "" is none. It tries all of them, and
// joins the errors; it is to be called again then, unless Malformed is true of them. A cache that the Store does not have
// is an error, for another process may have it.
func (s *Store) Apply(ctx context.Context, task string, changes []Change) error {
	var order []string
	ids := make(map[string][]string)
	for _, c := range changes {
		if ids[c.Cache] == nil {
			order = append(order, c.Cache)
		}
		ids[c.Cache] = append(ids[c.Cache], c.ID)
	}
	var errs []error
	for _, name := range order {
		a := s.applier(name)
		if a == nil {
			errs = append(errs, fmt.Errorf("there is no cache %q in this program", name))
			continue
		}
		if err := apply(ctx, a, task, ids[name]); err != nil {
			errs = append(errs, fmt.Errorf("making the cache %s true: %w", name, err))
		}
	}
	return errors.Join(errs...)
}

func apply(ctx context.Context, a Applier, task string, ids []string) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	return a.Apply(ctx, task, ids)
}
