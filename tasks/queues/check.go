// Package queues has the task that keeps queues true to their tasks.
package queues

import (
	"context"
	"time"

	"github.com/paidui/paidui/tasks"
	"github.com/paidui/paidui/tasks/broker"
)

// CheckArgs are none.
type CheckArgs struct{}

// Check compares the lists of all queues with the tasks, and mends what contradicts: see broker.Broker.Check. Its result is a
// broker.Checked. There is one at a time.
var Check = tasks.Define[CheckArgs, broker.Checked]("queue.check",
	tasks.Queue("low"),
	tasks.MaxRetries(2),
	tasks.UniqueFor(time.Hour),
	tasks.SnoozeFor(tasks.StoreAway()),
	tasks.Timeout(time.Hour),
)

const (
	// pause is between the look that finds a fault and the one that mends it.
	pause = 5 * time.Second
	// reportSpan is between two reports of how far a check is.
	reportSpan = time.Second
)

// Bind gives the package's task its handler.
func Bind(m *tasks.Mux, c *tasks.Client) {
	tasks.Handle(m, Check, func(ctx context.Context, _ CheckArgs) (broker.Checked, error) {
		reported := time.Now()
		return c.CheckQueues(ctx, pause, func(_, done int) error {
			if time.Since(reported) < reportSpan {
				return nil
			}
			reported = time.Now()
			// A report that is refused ends the task by its context.
			_ = tasks.Progress(ctx, int64(done), 0, "tasks looked at")
			return nil
		})
	})
}
