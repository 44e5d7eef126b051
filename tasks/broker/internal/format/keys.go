package format

import (
	"crypto/md5"
	"encoding/hex"
	"strings"
)

// The private key names of asynq v0.26. Nothing outside this file spells them; a test compares them with what asynq
// writes.
const (
	AllQueuesKey    = "asynq:queues"
	KeyPrefix       = "asynq:{"
	PendingSuffix   = "}:pending"
	ActiveSuffix    = "}:active"
	LeaseSuffix     = "}:lease"
	CompletedSuffix = "}:completed"
	ScheduledSuffix = "}:scheduled"
	RetrySuffix     = "}:retry"
	ArchivedSuffix  = "}:archived"
	TaskInfix       = "}:t:"
)

func PendingKey(queue string) string    { return KeyPrefix + queue + PendingSuffix }
func ScheduledKey(queue string) string  { return KeyPrefix + queue + ScheduledSuffix }
func RetryKey(queue string) string      { return KeyPrefix + queue + RetrySuffix }
func PausedKey(queue string) string     { return KeyPrefix + queue + "}:paused" }
func ActiveKey(queue string) string     { return KeyPrefix + queue + ActiveSuffix }
func ArchivedKey(queue string) string   { return KeyPrefix + queue + ArchivedSuffix }
func CompletedKey(queue string) string  { return KeyPrefix + queue + CompletedSuffix }
func ProcessedKey(queue string) string  { return KeyPrefix + queue + "}:processed" }
func LeaseKey(queue string) string      { return KeyPrefix + queue + LeaseSuffix }
func TaskKeyPrefix(queue string) string { return KeyPrefix + queue + TaskInfix }
func TaskKey(queue, id string) string   { return KeyPrefix + queue + TaskInfix + id }

func UniqueKey(queue, task string, payload []byte) string {
	return KeyPrefix + queue + "}:unique:" + task + ":" + Digest(payload)
}

// Digest is empty for nil.
func Digest(key []byte) string {
	if key == nil {
		return ""
	}
	sum := md5.Sum(key)
	return hex.EncodeToString(sum[:])
}

// Our own keys. They share the queue's slot.
func OwnPrefix(queue string) string { return "paidui:{" + queue + "}:" }

// WakeKey is the list whose elements each wake one idle worker of the queue.
func WakeKey(queue string) string { return OwnPrefix(queue) + "wake" }

// HighKey and LowKey are the lists of pending tasks whose priority is not normal.
func HighKey(queue string) string { return OwnPrefix(queue) + HighName }
func LowKey(queue string) string  { return OwnPrefix(queue) + LowName }

const (
	HighName = "high"
	LowName  = "low"
)

// TagKey is the set of the ids of a queue's tasks that have the tag and have not ended.
func TagKey(queue, tag string) string { return OwnPrefix(queue) + "tag:" + tag }

// LivesKey is the sorted set of the lives that serve the queue, by the time of their last beat (ms).
func LivesKey(queue string) string { return OwnPrefix(queue) + "lives" }

// EndedKey is the sorted set of ended lives whose tasks are not all taken over yet, by when the next worker may do it (ms).
func EndedKey(queue string) string { return OwnPrefix(queue) + "ended" }

// PausedByKey is the hash of who paused the queue: by, and since, which is what asynq's mark says. Where the two differ, the
// pause is another's.
func PausedByKey(queue string) string { return OwnPrefix(queue) + "paused_by" }

// RatePrefix begins the counters of tasks that came (in) or ended (out), one for every twenty seconds: see lib/rate.lua.
func RatePrefix(queue string) string { return OwnPrefix(queue) + "rate:" }

// ThrottleKey and DebounceKey hold the id of the task that was made for the key.
func ThrottleKey(queue, task, sum string) string {
	return OwnPrefix(queue) + "throttle:" + task + ":" + sum
}
func DebounceKey(queue, task, sum string) string {
	return OwnPrefix(queue) + "debounce:" + task + ":" + sum
}

func PendingQueue(key string) (string, bool) { return Between(key, PendingSuffix) }
func LeaseQueue(key string) (string, bool)   { return Between(key, LeaseSuffix) }

// KeyQueue is the queue in any key of asynq's.
func KeyQueue(key string) string {
	rest, _ := strings.CutPrefix(key, KeyPrefix)
	queue, _, _ := strings.Cut(rest, "}")
	return queue
}

func Between(key, suffix string) (queue string, ok bool) {
	rest, ok := strings.CutPrefix(key, KeyPrefix)
	if !ok {
		return "", false
	}
	return strings.CutSuffix(rest, suffix)
}

// RevokedPrefix begins the result of a revoked task.
const RevokedPrefix = "!REVOKED "
