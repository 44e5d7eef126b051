package broker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"github.com/redis/go-redis/v9"
)

// Setting is the name under which the broker's URL is configured; its errors carry it.
const Setting = "PAIDUI_BROKER_URL"

// Options configures a Broker.
type Options struct {
	Logger       *slog.Logger // nil is slog.Default
	NoPipelining bool         // every command travels alone, as with plain asynq
	NoWakeUp     bool         // idle workers ask regularly instead of waiting to be woken
}

// Broker is the Redis that tasks travel through, opened once a process and shared by its client and its servers. It is
// safe for concurrent use.
type Broker struct {
	rdb    redis.UniversalClient
	bell   *bell
	logger *slog.Logger
}

// Open connects to the Redis at raw (see ParseURL) and warns when it may evict tasks. Errors are as of Connect.
func Open(ctx context.Context, raw string, opt Options) (*Broker, error) {
	if opt.Logger == nil {
		opt.Logger = slog.Default()
	}
	rdb, err := Connect(ctx, Setting, raw)
	if err != nil {
		return nil, err
	}
	b := &Broker{rdb: rdb, logger: opt.Logger, bell: newBell(rdb, opt.Logger)}
	b.warnOfEviction(ctx)
	b.bell.start()
	return b, nil
}

// Redis is the shared connection, for whatever must live beside the tasks. It belongs to the broker: do not close it.
func (b *Broker) Redis() redis.UniversalClient { return b.rdb }

// Ping asks Redis for a sign of life.
func (b *Broker) Ping(ctx context.Context) error {
	if err := b.rdb.Ping(ctx).Err(); err != nil {
		return fmt.Errorf("ping broker: %w", err)
	}
	return nil
}

// Close ends the connection. Close clients' and servers' work first.
func (b *Broker) Close() error {
	b.bell.close()
	if err := b.rdb.Close(); err != nil && !errors.Is(err, redis.ErrClosed) {
		return fmt.Errorf("close broker: %w", err)
	}
	return nil
}

// Ring wakes the workers that wait for the queue, in all processes. It does not wait and is coalesced to at most one
// message a millisecond and queue. A task is found without it too, within a second.
func (b *Broker) Ring(queue string) { b.bell.announce(queue, true) }

// List makes the queue known, as Ring does, when there is nothing to fetch yet.
func (b *Broker) List(queue string) { b.bell.announce(queue, false) }

// Locate finds the queue that holds the task of an id which does not tell. It looks into all queues in one round trip.
func (b *Broker) Locate(ctx context.Context, id string) (queue string, ok bool, err error) {
	queues, err := b.rdb.SMembers(ctx, allQueuesKey).Result()
	if err != nil {
		return "", false, fmt.Errorf("list queues: %w", err)
	}
	if len(queues) == 0 {
		return "", false, nil
	}
	pipe := b.rdb.Pipeline()
	found := make([]*redis.IntCmd, len(queues))
	for i, q := range queues {
		found[i] = pipe.Exists(ctx, taskKey(q, id))
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return "", false, fmt.Errorf("look for task %s: %w", id, err)
	}
	for i, q := range queues {
		// Of several queues with the id, the one that it begins with is meant.
		if found[i].Val() > 0 && (queue == "" || strings.HasPrefix(id, q+"_")) {
			queue = q
		}
	}
	return queue, queue != "", nil
}

// ErrNoOwner says that no task holds the uniqueness that was asked for.
var ErrNoOwner = errors.New("no task holds the uniqueness")

// UniqueOwner is the id of the task that holds the uniqueness of these arguments, or ErrNoOwner.
func (b *Broker) UniqueOwner(ctx context.Context, queue, task string, payload []byte) (string, error) {
	id, err := b.rdb.Get(ctx, uniqueKey(queue, task, payload)).Result()
	if errors.Is(err, redis.Nil) {
		return "", ErrNoOwner
	}
	return id, err
}

// dropOwn deletes KEYS[1] if it holds ARGV[1].
var dropOwn = redis.NewScript(`
if redis.call("GET", KEYS[1]) == ARGV[1] then
	return redis.call("DEL", KEYS[1])
end
return 0`)

// DropUnique gives the uniqueness of these arguments back if the task with the id holds it.
func (b *Broker) DropUnique(ctx context.Context, queue, task string, payload []byte, id string) error {
	if err := dropOwn.Run(ctx, b.rdb, []string{uniqueKey(queue, task, payload)}, id).Err(); err != nil {
		return fmt.Errorf("give uniqueness back: %w", err)
	}
	return nil
}

// warnOfEviction looks at the policy that decides what Redis drops when its memory is full. Managed servers often
// forbid the question; then nothing is said.
func (b *Broker) warnOfEviction(ctx context.Context) {
	config, err := b.rdb.ConfigGet(ctx, "maxmemory-policy").Result()
	if err != nil {
		b.logger.DebugContext(ctx, "the broker's maxmemory-policy is not readable", "error", err)
		return
	}
	if policy := config["maxmemory-policy"]; strings.HasPrefix(policy, "allkeys-") {
		b.logger.WarnContext(ctx, "the broker may drop tasks when its memory is full: set maxmemory-policy noeviction",
			"setting", Setting, "maxmemory_policy", policy)
	}
}
