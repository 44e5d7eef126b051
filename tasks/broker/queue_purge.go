package broker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/paidui/paidui/tasks/broker/internal/format"
)

const (
	// purgeBatch bounds the tasks of one script, and so how long Redis is kept from others: about two milliseconds.
	purgeBatch = 200
	// purgeBytes bounds the messages that one script answers with, but for the last of them.
	purgeBytes = 1 << 20
	// purgedRetention is for how long a task that was purged is known as revoked: its waiters see its end, and an outbox
	// does not send it again.
	purgedRetention = minRevokedRetention
)

// purgeStates are the states that can be purged, in the order in which a purge takes them: what becomes due meanwhile is
// found as pending, and what ends as revoked is not deleted by the same purge.
var purgeStates = []string{"completed", "archived", "scheduled", "retry", "pending"}

// Purge takes all tasks of the asynq states off the queue that are there as it begins: those that wait end as revoked, with
// the reason; those that had ended are deleted. It does so in bounded batches, and calls ended after each with the state and
// its tasks, as they were before; of these the fields are set that a message has. taken are the ids of that batch, also those
// whose tasks were elsewhere. An error of ended, as any other, ends the purge; the same call again takes the rest.
func (b *Broker) Purge(ctx context.Context, queue, reason string, states map[string]bool, ended func(state string, taken int, tasks []*StoredTask) error) error {
	for _, state := range purgeStates {
		if !states[state] {
			continue
		}
		for _, key := range stateKeys(queue, state) {
			if err := b.purgeKey(ctx, queue, key, state, reason, ended); err != nil {
				return err
			}
		}
	}
	return nil
}

// stateKeys are the lists or sets of a state that can be purged.
func stateKeys(queue, state string) []string {
	switch state {
	case "pending":
		return []string{format.HighKey(queue), format.PendingKey(queue), format.LowKey(queue)}
	case "scheduled":
		return []string{format.ScheduledKey(queue)}
	case "retry":
		return []string{format.RetryKey(queue)}
	case "archived":
		return []string{format.ArchivedKey(queue)}
	case "completed":
		return []string{format.CompletedKey(queue)}
	}
	return nil
}

// purgeKey purges as many tasks of a list or set as are there now: more may be added for as long as it goes on.
func (b *Broker) purgeKey(ctx context.Context, queue, key, state, reason string, ended func(string, int, []*StoredTask) error) error {
	var size *redis.IntCmd
	if state == "pending" {
		size = b.rdb.LLen(ctx, key)
	} else {
		size = b.rdb.ZCard(ctx, key)
	}
	left, err := size.Result()
	if err != nil {
		return fmt.Errorf("count the %s tasks of queue %s: %w", state, queue, err)
	}
	for left > 0 {
		taken, tasks, err := b.purgeSome(ctx, queue, key, state, reason, int(min(left, purgeBatch)))
		if err != nil {
			return fmt.Errorf("purge the %s tasks of queue %s: %w", state, queue, err)
		}
		if taken == 0 {
			return nil
		}
		left -= int64(taken)
		if err := ended(state, taken, tasks); err != nil {
			return err
		}
	}
	return nil
}

var errPurgeReply = errors.New("unexpected reply of the purge script")

// purgeSome is one batch. When its answer is lost, the tasks have ended all the same: the settlement of the history and the
// sweeper of an outbox find them so.
func (b *Broker) purgeSome(ctx context.Context, queue, key, state, reason string, most int) (taken int, tasks []*StoredTask, err error) {
	now := time.Now()
	completedAt := protowire.AppendVarint(protowire.AppendTag(nil, format.FieldCompletedAt, protowire.VarintType), uint64(now.Unix()))
	reply, err := purgeScript.Run(ctx, b.rdb, []string{key, format.CompletedKey(queue)},
		state, most, purgeBytes, format.TaskKeyPrefix(queue), format.OwnPrefix(queue), RevokedPrefix+reason, completedAt, now.Add(purgedRetention).Unix()).Slice()
	if err != nil {
		return 0, nil, err
	}
	n, ok := int64(0), len(reply)%2 == 1
	if ok {
		n, ok = reply[0].(int64)
	}
	if !ok {
		return 0, nil, fmt.Errorf("%w: %v", errPurgeReply, reply)
	}
	for i := 1; i < len(reply); i += 2 {
		id, _ := reply[i].(string)
		message, _ := reply[i+1].(string)
		m := format.Decode([]byte(message))
		tasks = append(tasks, &StoredTask{
			Queue: queue, ID: id, Task: m.Task, State: state, Payload: m.Payload, Headers: m.Headers, MaxRetry: m.MaxRetry,
			Retried: m.Retried, LastError: m.LastError, LastFailedAt: m.LastFailedAt, Retention: m.Retention, Timeout: m.Timeout,
		})
	}
	return int(n), tasks, nil
}

var purgeScript = format.Script("queue_purge.lua")
