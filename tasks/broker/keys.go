package broker

import (
	"crypto/md5"
	"encoding/hex"
	"strings"
)

// The private key names of asynq v0.26. Nothing outside this file spells them; a test compares them with what asynq
// writes.
const (
	allQueuesKey    = "asynq:queues"
	keyPrefix       = "asynq:{"
	pendingSuffix   = "}:pending"
	activeSuffix    = "}:active"
	leaseSuffix     = "}:lease"
	completedSuffix = "}:completed"
	retrySuffix     = "}:retry"
	archivedSuffix  = "}:archived"
	taskInfix       = "}:t:"
)

func pendingKey(queue string) string    { return keyPrefix + queue + pendingSuffix }
func scheduledKey(queue string) string  { return keyPrefix + queue + "}:scheduled" }
func retryKey(queue string) string      { return keyPrefix + queue + retrySuffix }
func pausedKey(queue string) string     { return keyPrefix + queue + "}:paused" }
func activeKey(queue string) string     { return keyPrefix + queue + activeSuffix }
func archivedKey(queue string) string   { return keyPrefix + queue + archivedSuffix }
func completedKey(queue string) string  { return keyPrefix + queue + completedSuffix }
func processedKey(queue string) string  { return keyPrefix + queue + "}:processed" }
func leaseKey(queue string) string      { return keyPrefix + queue + leaseSuffix }
func taskKeyPrefix(queue string) string { return keyPrefix + queue + taskInfix }
func taskKey(queue, id string) string   { return keyPrefix + queue + taskInfix + id }

func uniqueKey(queue, task string, payload []byte) string {
	return keyPrefix + queue + "}:unique:" + task + ":" + digest(payload)
}

// digest is empty for nil.
func digest(key []byte) string {
	if key == nil {
		return ""
	}
	sum := md5.Sum(key)
	return hex.EncodeToString(sum[:])
}

// Our own keys. They share the queue's slot.
func ownPrefix(queue string) string { return "paidui:{" + queue + "}:" }

// wakeKey is the list whose elements each wake one idle worker of the queue.
func wakeKey(queue string) string { return ownPrefix(queue) + "wake" }

// highKey and lowKey are the lists of pending tasks whose priority is not normal.
func highKey(queue string) string { return ownPrefix(queue) + highName }
func lowKey(queue string) string  { return ownPrefix(queue) + lowName }

const (
	highName = "high"
	lowName  = "low"
)

// tagKey is the set of the ids of a queue's tasks that have the tag and have not ended.
func tagKey(queue, tag string) string { return ownPrefix(queue) + "tag:" + tag }

// livesKey is the sorted set of the lives that serve the queue, by the time of their last beat (ms).
func livesKey(queue string) string { return ownPrefix(queue) + "lives" }

// endedKey is the sorted set of ended lives whose tasks are not all taken over yet, by when the next worker may do it (ms).
func endedKey(queue string) string { return ownPrefix(queue) + "ended" }

// throttleKey and debounceKey hold the id of the task that was made for the key.
func throttleKey(queue, task, sum string) string {
	return ownPrefix(queue) + "throttle:" + task + ":" + sum
}
func debounceKey(queue, task, sum string) string {
	return ownPrefix(queue) + "debounce:" + task + ":" + sum
}

// dequeues tells a call of asynq's dequeue script by its keys: pending, paused, active, lease.
func dequeues(keys []string) (queue string, ok bool) {
	if len(keys) != 4 || !strings.HasSuffix(keys[3], leaseSuffix) {
		return "", false
	}
	return pendingQueue(keys[0])
}

// forwards tells a call of asynq's forward script by its keys: scheduled or retry, pending.
func forwards(keys []string) (queue string, ok bool) {
	if len(keys) != 2 || !strings.HasSuffix(keys[0], "}:scheduled") && !strings.HasSuffix(keys[0], retrySuffix) {
		return "", false
	}
	return pendingQueue(keys[1])
}

// acknowledges tells a call of one of asynq's scripts that end a delivery (done, complete, retry, archive, requeue) by
// its keys: a task's comes with those of the active list and the leases. It returns the index of the task's key.
func acknowledges(keys []string) (task int, ok bool) {
	if len(keys) < 4 {
		return 0, false
	}
	switch { // done, complete and requeue have the task third or fourth; retry and archive have it first
	case strings.HasSuffix(keys[0], activeSuffix) && strings.HasSuffix(keys[1], leaseSuffix):
		task = 2
		if !strings.Contains(keys[2], taskInfix) {
			task = 3
		}
	case strings.HasSuffix(keys[1], activeSuffix) && strings.HasSuffix(keys[2], leaseSuffix):
		task = 0
	default:
		return 0, false
	}
	return task, strings.Contains(keys[task], taskInfix)
}

// requeues tells, of the calls that end a delivery, those by which a server that stops puts a task back: active, lease,
// pending, task.
func requeues(keys []string) bool { return strings.HasSuffix(keys[2], pendingSuffix) }

// recovers tells a call of the script by which asynq's recoverer lists tasks whose leases have ended, by its keys: lease.
func recovers(keys []string) bool { return len(keys) == 1 && strings.HasSuffix(keys[0], leaseSuffix) }

func pendingQueue(key string) (string, bool) { return between(key, pendingSuffix) }
func leaseQueue(key string) (string, bool)   { return between(key, leaseSuffix) }

// keyQueue is the queue in any key of asynq's.
func keyQueue(key string) string {
	rest, _ := strings.CutPrefix(key, keyPrefix)
	queue, _, _ := strings.Cut(rest, "}")
	return queue
}

func between(key, suffix string) (queue string, ok bool) {
	rest, ok := strings.CutPrefix(key, keyPrefix)
	if !ok {
		return "", false
	}
	return strings.CutSuffix(rest, suffix)
}

// forwardBatch is how many due tasks one forward call moves at most.
const forwardBatch = 100
