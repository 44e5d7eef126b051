package broker

import (
	"context"
	"fmt"

	"github.com/paidui/paidui/models/redisx"
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

// forgetScript KEYS: task, completed, archived. ARGV: id, prefix of our keys. It returns the state, "" without a task.
var forgetScript = redisx.NewScript(format.LuaEnd + `
local state = redis.call('HGET', KEYS[1], 'state')
if state == 'completed' or state == 'archived' then
	redis.call('ZREM', state == 'completed' and KEYS[2] or KEYS[3], ARGV[1])
	forget(KEYS[1], ARGV[1], ARGV[2])
	redis.call('DEL', KEYS[1])
end
return state or ''
`)
