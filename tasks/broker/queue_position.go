package broker

import (
	"context"
	"errors"
	"fmt"

	"github.com/redis/go-redis/v9"

	"github.com/paidui/paidui/tasks/broker/internal/format"
)

// maxBefore bounds the tasks that Position looks at. It keeps Redis from others for about a millisecond.
const maxBefore = 100_000

// Position is where a task waits.
type Position struct {
	Before  int  // tasks that come before it: those of a higher priority, and of its own the earlier ones
	AtLeast bool // there are more, which were not counted
}

// Position tells how many tasks of the queue come before one that is pending, nil when it is not. priority is that of the
// task, as StoredTask has it.
func (b *Broker) Position(ctx context.Context, queue, id, priority string) (*Position, error) {
	keys := []string{format.PendingKey(queue), format.HighKey(queue), format.LowKey(queue)}
	reply, err := positionScript.Run(ctx, b.rdb, keys, id, priority, maxBefore).Int64Slice()
	switch {
	case errors.Is(err, redis.Nil):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("find task %s in queue %s: %w", id, queue, err)
	case len(reply) != 2:
		return nil, fmt.Errorf("unexpected reply of the script that finds tasks in their queue: %v", reply)
	}
	return &Position{Before: int(reply[0]), AtLeast: reply[1] == 1}, nil
}

var positionScript = format.Script("queue_position.lua")
