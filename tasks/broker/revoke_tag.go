package broker

import (
	"context"
	"fmt"
	"slices"

	"github.com/redis/go-redis/v9"

	"github.com/paidui/paidui/tasks/broker/internal/format"
)

// scanCount is about how many of a tag's tasks are read at a time.
const scanCount = 1000

// RevokedTag counts what became of the tasks of a tag.
type RevokedTag struct {
	Revoked int // they have ended, and never run
	Running int // workers run them; whatever comes of that, they do not run again
}

// RevokeTag is Revoke for every task with the tag that has not ended, in all queues. Those that get the tag while it runs
// may be left out. After an error, and after the end of ctx, it tells how many were revoked so far; the rest take the
// same call again. ended, unless nil, is called with tasks that were just revoked, as they were before.
func (b *Broker) RevokeTag(ctx context.Context, tag, reason string, terminate bool, ended func([]*StoredTask)) (RevokedTag, error) {
	var total RevokedTag
	queues, err := b.rdb.SMembers(ctx, format.AllQueuesKey).Result()
	if err != nil {
		return total, fmt.Errorf("list queues: %w", err)
	}
	queues, err = b.tagged(ctx, queues, tag)
	if err != nil {
		return total, fmt.Errorf("look for tag %s: %w", tag, err)
	}
	for _, q := range queues {
		r := b.newRevoker(q, reason, terminate)
		r.tag = tag
		if err := r.revokeTagged(ctx, &total, ended); err != nil {
			return total, fmt.Errorf("revoke tag %s in queue %s: %w", tag, q, err)
		}
	}
	return total, nil
}

// tagged are those of the queues that have tasks with the tag.
func (b *Broker) tagged(ctx context.Context, queues []string, tag string) ([]string, error) {
	if len(queues) == 0 {
		return nil, nil
	}
	pipe := b.rdb.Pipeline()
	sets := make([]*redis.IntCmd, len(queues))
	for i, q := range queues {
		sets[i] = pipe.Exists(ctx, format.TagKey(q, tag))
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, err
	}
	var some []string
	for i, q := range queues {
		if sets[i].Val() > 0 {
			some = append(some, q)
		}
	}
	return some, nil
}

func (r *revoker) revokeTagged(ctx context.Context, total *RevokedTag, ended func([]*StoredTask)) error {
	running := make(map[string]bool) // a scan may show a task twice
	for cursor := uint64(0); ; {
		ids, next, err := r.b.rdb.SScan(ctx, format.TagKey(r.queue, r.tag), cursor, "", scanCount).Result()
		if err != nil {
			return err
		}
		if len(ids) > 0 {
			slices.Sort(ids)
			r.command = newCommand() // what an earlier batch has revoked does not count again
			ids = slices.Compact(ids)
			list, err := r.revoke(ctx, ids)
			if err != nil {
				return err
			}
			var revoked []*StoredTask
			for i, one := range list {
				switch {
				case one.Outcome == Revoked:
					revoked = append(revoked, one.Task)
				case one.Outcome == Running && !running[ids[i]]:
					running[ids[i]] = true
					total.Running++
				}
			}
			total.Revoked += len(revoked)
			if ended != nil && len(revoked) > 0 {
				ended(revoked)
			}
		}
		if cursor = next; cursor == 0 {
			return nil
		}
	}
}
