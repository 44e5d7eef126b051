package refresh

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"
	"unicode/utf8"

	"gorm.io/gorm"

	"github.com/paidui/paidui/models/cache"
	"github.com/paidui/paidui/tasks"
	"github.com/paidui/paidui/tasks/outbox"
)

// The bounds of ChangedArgs.
const (
	MaxChanges   = cache.MaxChanges
	MaxCacheName = 64  // bytes
	MaxChangeID  = 256 // bytes
)

// ChangedArgs say what a committed write made untrue: 1 to MaxChanges changes.
type ChangedArgs struct {
	Changes []cache.Change `json:"changes" jsonschema:"what a committed write made untrue in the caches"`
}

// Validate implements tasks.Validator.
func (a ChangedArgs) Validate() error {
	if n := len(a.Changes); n < 1 || n > MaxChanges {
		return &tasks.ArgsError{Field: "changes", Msg: fmt.Sprintf("%d changes are not 1 to %d", n, MaxChanges)}
	}
	for i, c := range a.Changes {
		if err := checkText(fmt.Sprintf("changes.%d.cache", i), c.Cache, MaxCacheName); err != nil {
			return err
		}
		if err := checkText(fmt.Sprintf("changes.%d.id", i), c.ID, MaxChangeID); err != nil {
			return err
		}
	}
	return nil
}

func checkText(field, text string, most int) error {
	if n := len(text); n < 1 || n > most || !utf8.ValidString(text) {
		return &tasks.ArgsError{Field: field, Msg: fmt.Sprintf("want 1 to %d bytes of UTF-8", most)}
	}
	return nil
}

// Changed makes the caches true to a committed write. Announcer makes it in the write's transaction, so it runs if, and
// only if, the write has committed, and for as long as it takes: it waits for stores that are away, and is tried again
// after other errors, at most 30 s apart, for more than two days, which is longer than any value is cached. A process
// without the named cache, as an older version is, leaves the task to others by failing. A change that no cache can make
// sense of fails the task for good, once all others are applied. Redis and the history keep none that has ended, there
// are as many as writes; those that fail for good are dead letters.
var Changed = tasks.Define[ChangedArgs, struct{}]("refresh.changed",
	tasks.Queue("cache"),
	tasks.Priority(tasks.High),
	tasks.MaxRetries(tasks.MaxMaxRetries),
	tasks.SnoozeFor(tasks.StoreAway()),
	tasks.BackoffFunc(changedBackoff),
	tasks.Timeout(time.Minute),
	tasks.MaxCrashes(100),
	tasks.Retention(0),
	tasks.Repeatable(), // a cache made true again is true; who counts knows a task that was counted
	tasks.ResultLimit(0),
	tasks.History(tasks.HistoryOff),
)

const (
	changedBase  = 250 * time.Millisecond
	changedLimit = 30 * time.Second
)

// changedBackoff doubles from changedBase to changedLimit, and takes off up to half: tasks that have failed together
// come back apart.
func changedBackoff(retry int, _ error) time.Duration {
	bound := changedLimit
	if retry < 7 {
		bound = min(bound, changedBase<<retry)
	}
	return bound - rand.N(bound/2)
}

// Announcer makes a Changed task of the changes of each write. The database must have an outbox.
type Announcer struct{}

// Announce implements cache.Announcer.
func (Announcer) Announce(ctx context.Context, tx *gorm.DB, changes []cache.Change) (task string, err error) {
	made, err := Changed.EnqueueTx(ctx, outbox.Tx(tx), ChangedArgs{Changes: changes})
	if err != nil {
		return "", fmt.Errorf("announce what the caches must follow: %w", err)
	}
	return made.ID(), nil
}

// BindChanged has Changed applied to a store. Bind does it, too: this is for a program that has only caches of its own.
func BindChanged(m *tasks.Mux, store *cache.Store) {
	tasks.Handle(m, Changed, func(ctx context.Context, a ChangedArgs) (struct{}, error) {
		err := store.Apply(ctx, tasks.Current(ctx).ID, a.Changes)
		if cache.Malformed(err) {
			err = tasks.Permanent(err)
		}
		return struct{}{}, err
	})
}
