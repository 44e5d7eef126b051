package following

import (
	"context"
	"time"

	"github.com/paidui/paidui/tasks"
)

// ReconcileArgs is empty: the task checks all lists.
type ReconcileArgs struct{}

// ReconcileTask runs Followings.Reconcile. Its progress is how many lists are checked; its result is a Reconciled.
var ReconcileTask = tasks.Define[ReconcileArgs, Reconciled]("refresh.followings",
	tasks.Queue("low"),
	tasks.MaxRetries(5),
	tasks.Backoff(time.Minute, time.Hour),
	tasks.SnoozeFor(tasks.StoreAway()),
	tasks.Timeout(2*time.Hour),
	tasks.UniqueFor(3*time.Hour),
)

// Bind gives the package's task its handler.
func Bind(m *tasks.Mux, f *Followings) {
	tasks.Handle(m, ReconcileTask, func(ctx context.Context, _ ReconcileArgs) (Reconciled, error) {
		return f.Reconcile(ctx, func(done Reconciled) {
			// A report that is refused ends the task by its context.
			_ = tasks.Progress(ctx, int64(done.Lists), 0, "lists checked")
		})
	})
}
