package broker

import (
	"crypto/md5"
	"encoding/hex"
	"strings"
)

// The private key names of asynq v0.26. Nothing outside this file spells them; a test compares them with what asynq
// writes.
const (
	allQueuesKey  = "asynq:queues"
	keyPrefix     = "asynq:{"
	pendingSuffix = "}:pending"
	leaseSuffix   = "}:lease"
)

func taskKey(queue, id string) string { return keyPrefix + queue + "}:t:" + id }

func uniqueKey(queue, task string, payload []byte) string {
	sum := md5.Sum(payload)
	return keyPrefix + queue + "}:unique:" + task + ":" + hex.EncodeToString(sum[:])
}

// dequeueQueue names the queue when a script call with these keys is asynq's dequeue: pending, paused, active, lease.
func dequeueQueue(keys []string) (queue string, ok bool) {
	if len(keys) != 4 || !strings.HasSuffix(keys[3], leaseSuffix) {
		return "", false
	}
	return pendingQueue(keys[0])
}

// forwardQueue names the queue when a script call with these keys is asynq's forward: scheduled or retry, pending.
func forwardQueue(keys []string) (queue string, ok bool) {
	if len(keys) != 2 || !strings.HasSuffix(keys[0], "}:scheduled") && !strings.HasSuffix(keys[0], "}:retry") {
		return "", false
	}
	return pendingQueue(keys[1])
}

func pendingQueue(key string) (string, bool) {
	rest, ok := strings.CutPrefix(key, keyPrefix)
	if !ok {
		return "", false
	}
	return strings.CutSuffix(rest, pendingSuffix)
}

// forwardBatch is how many due tasks one forward call moves at most.
const forwardBatch = 100
