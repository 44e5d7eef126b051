package broker

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/paidui/paidui/tasks/broker/internal/format"
)

// Foreign is the state of a task that can't be in Redis, because something else has its key.
const Foreign = "foreign"

// States are asynq's states of tasks: pending, active, scheduled, retry, archived or completed, Foreign, or "" where
// Redis knows no such task. They cost one round trip, and come in the order of refs.
func (b *Broker) States(ctx context.Context, refs []Ref) ([]string, error) {
	states := make([]string, len(refs))
	if len(refs) == 0 {
		return states, nil
	}
	pipe := b.rdb.Pipeline()
	asked := make([]*redis.StringCmd, len(refs))
	for i, ref := range refs {
		asked[i] = pipe.HGet(ctx, format.TaskKey(ref.Queue, ref.ID), "state")
	}
	_, _ = pipe.Exec(ctx) // each command has its own error
	for i, cmd := range asked {
		state, err := cmd.Result()
		switch {
		case redis.HasErrorPrefix(err, "WRONGTYPE"):
			state = Foreign
		case err != nil && !errors.Is(err, redis.Nil):
			return nil, fmt.Errorf("ask for the states of tasks: %w", err)
		}
		states[i] = state
	}
	return states, nil
}

// Announce has whoever waits for one of the tasks look at it. It is for tasks that Redis had lost and has again: the new
// ones do not know that they are watched.
func (b *Broker) Announce(ctx context.Context, ids []string) error {
	if len(ids) == 0 {
		return nil
	}
	if err := b.rdb.Publish(ctx, format.EventsChannel, "+"+strings.Join(ids, "\n+")).Err(); err != nil {
		return fmt.Errorf("announce tasks: %w", err)
	}
	return nil
}
