package fetch

import (
	"strings"

	"github.com/paidui/paidui/tasks/broker/internal/format"
)

// This file is all that is known of how asynq v0.26 calls Redis: it runs its scripts by their hash, and each has keys of its
// own. TestAsBareAsynq fails when an upgrade calls otherwise.

// isDequeueCall tells a call of the script that fetches a task: pending, paused, active, lease.
func isDequeueCall(keys []string) (queue string, ok bool) {
	if len(keys) != 4 || !strings.HasSuffix(keys[3], format.LeaseSuffix) {
		return "", false
	}
	return format.PendingQueue(keys[0])
}

// isForwardCall tells a call of the script that moves tasks which are due: scheduled or retry, pending. ARGV: now (s), prefix
// of the tasks' keys, now (ns), prefix of the groups' keys.
func isForwardCall(keys []string, args []any) (queue string, second int64, ok bool) {
	if len(keys) != 2 || len(args) != 4 ||
		!strings.HasSuffix(keys[0], format.ScheduledSuffix) && !strings.HasSuffix(keys[0], format.RetrySuffix) {
		return "", 0, false
	}
	if second, ok = args[0].(int64); !ok {
		return "", 0, false
	}
	queue, ok = format.PendingQueue(keys[1])
	return queue, second, ok
}

// forwardBatch is how many due tasks one forward call moves at most.
const forwardBatch = 100

// isRecoverCall tells a call of the script that lists tasks whose leases have ended: lease.
func isRecoverCall(keys []string) bool {
	return len(keys) == 1 && strings.HasSuffix(keys[0], format.LeaseSuffix)
}

// isServerState tells a call of the script that stores the server's record: server, workers of the server. ARGV: time to live,
// the record, then each running task.
func isServerState(keys []string, args []any) (info []byte, ok bool) {
	if len(keys) != 2 || len(args) < 2 || !strings.HasPrefix(keys[0], "asynq:servers:{") {
		return nil, false
	}
	info, ok = args[1].([]byte)
	return info, ok
}

// isResultWrite tells the HSET by which a handler's result is written.
func isResultWrite(values []any) (result []byte, ok bool) {
	if len(values) != 2 || values[0] != "result" {
		return nil, false
	}
	result, ok = values[1].([]byte)
	return result, ok
}

// endCall is a call of one of the scripts that end a delivery.
type endCall struct {
	kind endKind
	keys []string
	args []any
}

// endKind is a way in which asynq ends a delivery.
type endKind int

const (
	endDone     endKind = iota + 1 // it has succeeded, and is deleted
	endComplete                    // it has succeeded, and is kept
	endRetry                       // it is to be tried again
	endArchive                     // it has failed for good
	endRequeue                     // the server stops while the task runs
)

// isEndCall tells a call that ends a delivery:
//
//	done      active, lease, task, processed of the day, processed, unless empty the uniqueness
//	          ARGV: id, end of the day's counter, largest number
//	complete  active, lease, completed, task, processed of the day, processed, unless empty the uniqueness
//	          ARGV: id, end of the day's counter, end of the retention, message, largest number
//	retry     task, active, lease, retry, processed and failed of the day, processed, failed
//	          ARGV: id, message, time of the next attempt, end of the day's counters, whether it counts, largest number
//	archive   task, active, lease, archived, processed and failed of the day, processed, failed, prefix of the tasks
//	          ARGV: id, message, now, cutoff, size of the archive, end of the day's counters, largest number
//	requeue   active, lease, pending, task
//	          ARGV: id
func isEndCall(keys []string, args []any) (c endCall, ok bool) {
	c = endCall{keys: keys, args: args}
	is := func(n int, suffix string) bool { return n < len(keys) && strings.HasSuffix(keys[n], suffix) }
	isTask := func(n int) bool { return n < len(keys) && strings.Contains(keys[n], format.TaskInfix) }
	shape := func(keysAtLeast, keysAtMost, argv int) bool {
		return len(keys) >= keysAtLeast && len(keys) <= keysAtMost && len(args) == argv
	}
	switch {
	case is(0, format.ActiveSuffix) && is(1, format.LeaseSuffix):
		switch {
		case isTask(2) && shape(5, 6, 3):
			c.kind = endDone
		case is(2, format.CompletedSuffix) && isTask(3) && shape(6, 7, 5):
			c.kind = endComplete
		case is(2, format.PendingSuffix) && isTask(3) && shape(4, 4, 1):
			c.kind = endRequeue
		}
	case isTask(0) && is(1, format.ActiveSuffix) && is(2, format.LeaseSuffix):
		switch {
		case is(3, format.RetrySuffix) && shape(8, 8, 6):
			c.kind = endRetry
		case is(3, format.ArchivedSuffix) && shape(9, 9, 7):
			c.kind = endArchive
		}
	}
	return c, c.kind != 0
}

// task is the key of the task.
func (c endCall) task() string {
	switch c.kind {
	case endRetry, endArchive:
		return c.keys[0]
	case endDone:
		return c.keys[2]
	}
	return c.keys[3]
}

// day is the key of the processed counter of the day, of done and complete.
func (c endCall) day() string {
	if c.kind == endComplete {
		return c.keys[4]
	}
	return c.keys[3]
}

// unique is the key of the uniqueness that done and complete free, "" without one.
func (c endCall) unique() string {
	if n := map[endKind]int{endDone: 5, endComplete: 6}[c.kind]; n > 0 && n < len(c.keys) {
		return c.keys[n]
	}
	return ""
}

// finishes tells that the task has succeeded.
func (c endCall) finishes() bool { return c.kind == endDone || c.kind == endComplete }
