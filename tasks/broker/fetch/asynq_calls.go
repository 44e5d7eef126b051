package fetch

import (
	"strings"

	"github.com/paidui/paidui/tasks/broker/internal/format"
)

// dequeues tells a call of asynq's dequeue script by its keys: pending, paused, active, lease.
func dequeues(keys []string) (queue string, ok bool) {
	if len(keys) != 4 || !strings.HasSuffix(keys[3], format.LeaseSuffix) {
		return "", false
	}
	return format.PendingQueue(keys[0])
}

// forwards tells a call of asynq's forward script by its keys: scheduled or retry, pending.
func forwards(keys []string) (queue string, ok bool) {
	if len(keys) != 2 || !strings.HasSuffix(keys[0], "}:scheduled") && !strings.HasSuffix(keys[0], format.RetrySuffix) {
		return "", false
	}
	return format.PendingQueue(keys[1])
}

// acknowledges tells a call of one of asynq's scripts that end a delivery (done, complete, retry, archive, requeue) by
// its keys: a task's comes with those of the active list and the leases. It returns the index of the task's key.
func acknowledges(keys []string) (task int, ok bool) {
	if len(keys) < 4 {
		return 0, false
	}
	switch { // done, complete and requeue have the task third or fourth; retry and archive have it first
	case strings.HasSuffix(keys[0], format.ActiveSuffix) && strings.HasSuffix(keys[1], format.LeaseSuffix):
		task = 2
		if !strings.Contains(keys[2], format.TaskInfix) {
			task = 3
		}
	case strings.HasSuffix(keys[1], format.ActiveSuffix) && strings.HasSuffix(keys[2], format.LeaseSuffix):
		task = 0
	default:
		return 0, false
	}
	return task, strings.Contains(keys[task], format.TaskInfix)
}

// requeues tells, of the calls that end a delivery, those by which a server that stops puts a task back: active, lease,
// pending, task.
func requeues(keys []string) bool { return strings.HasSuffix(keys[2], format.PendingSuffix) }

// recovers tells a call of the script by which asynq's recoverer lists tasks whose leases have ended, by its keys: lease.
func recovers(keys []string) bool {
	return len(keys) == 1 && strings.HasSuffix(keys[0], format.LeaseSuffix)
}

// forwardBatch is how many due tasks one forward call moves at most.
const forwardBatch = 100
