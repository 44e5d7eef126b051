package counter

import (
	"context"
	"errors"
	"time"

	"github.com/paidui/paidui/tasks"
)

// Args say what to reconcile: all users, or those alone of whom it is not sure whether their changes were counted.
type Args struct {
	Suspects bool `json:"suspects,omitempty" jsonschema:"only users of whom it is not sure whether their changes were counted"`
}

// Reconcile makes the counts in Redis true to the database, while traffic goes on. There is one at a time for the same
// arguments. While more changes wait to be counted than it can look at, it comes again later.
var Reconcile = tasks.Define[Args, Result]("refresh.counters",
	tasks.Queue("cache"),
	tasks.Priority(tasks.Low),
	tasks.UniqueFor(6*time.Hour),
	tasks.MaxRetries(5),
	tasks.Backoff(10*time.Second, 5*time.Minute),
	tasks.SnoozeFor(tasks.StoreAway()),
	tasks.Timeout(2*time.Hour),
)

const (
	backlogPause = 30 * time.Second
	windowPoll   = 20 * time.Millisecond
)

// Bind gives the package's task its handler.
func Bind(m *tasks.Mux, c *Counters) {
	tasks.Handle(m, Reconcile, func(ctx context.Context, a Args) (Result, error) {
		r := c.reconciler(func(done, total int64, note string) error { return tasks.Progress(ctx, done, total, note) })
		reconcile := r.whole
		if a.Suspects {
			reconcile = r.suspects
		}
		result, err := reconcile(ctx)
		if errors.Is(err, errBacklog) {
			tasks.Current(ctx).Logger().InfoContext(ctx, "counters are reconciled later", "error", err)
			return result, tasks.Snooze(backlogPause)
		}
		return result, err
	})
}

// Reconcile is the task of this name, run here and now. It compares all users.
func (c *Counters) Reconcile(ctx context.Context) (Result, error) {
	return c.reconciler(func(int64, int64, string) error { return ctx.Err() }).whole(ctx)
}

func (c *Counters) reconciler(report func(done, total int64, note string) error) *reconciler {
	return &reconciler{
		redisCounts: c.redisCounts,
		source:      c.source,
		invalidate:  c.invalidate,
		report:      report,
		log:         c.log,
		poll:        windowPoll,
		sizes:       standardSizes,
	}
}
