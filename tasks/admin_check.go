package tasks

import (
	"context"
	"fmt"
	"time"

	"github.com/paidui/paidui/tasks/broker"
)

// CheckQueues compares the lists of all queues with the tasks, while traffic goes on, and mends what contradicts at a second
// look, a pause later, still. Step is told how many queues and tasks it has looked at; its error ends the check.
// The error of a store that is away is one of StoreAway; others are for somebody to mend, as a key of another kind is.
func (c *Client) CheckQueues(ctx context.Context, pause time.Duration, step func(queues, tasks int) error) (broker.Checked, error) {
	found, err := c.broker.Check(ctx, broker.CheckOptions{
		Pause: pause,
		Due:   func(r *broker.StoredTask) time.Time { return parseHeaders(r.Headers).eta },
		Step:  step,
	})
	if err != nil {
		return found, fmt.Errorf("check queues: %w", err)
	}
	return found, nil
}
