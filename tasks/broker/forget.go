package broker

import (
	"context"
	"fmt"

	"github.com/paidui/paidui/tasks/broker/internal/format"
)

// Forget deletes a task that has ended, and frees what it holds. It tells in which of asynq's states it found the task,
// "" if there is none; one that is neither completed nor archived is left as it is.
func (b *Broker) Forget(ctx context.Context, queue, id string) (state string, err error) {
	keys := []string{format.TaskKey(queue, id), format.CompletedKey(queue), format.ArchivedKey(queue)}
	state, err = forgetScript.Run(ctx, b.rdb, keys, id, format.OwnPrefix(queue)).Text()
	if err != nil {
		return "", fmt.Errorf("forget task %s: %w", id, err)
	}
	return state, nil
}

var forgetScript = format.Script("forget.lua")
