package broker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/redis/go-redis/v9"

	"github.com/paidui/paidui/models/redisx"
	"github.com/paidui/paidui/tasks/broker/internal/format"
)

// Setting is the name under which the broker's URL is configured; its errors carry it.
const Setting = "PAIDUI_BROKER_URL"

// Options configures a Broker.
type Options struct {
	Logger       *slog.Logger // nil is slog.Default
	NoPipelining bool         // every call travels alone, as with plain asynq; the messages of one Enqueue stay together
	NoWakeUp     bool         // idle workers ask regularly instead of waiting to be woken
}

// Broker is the Redis that tasks travel through, opened once a process and shared by its client and its servers. It is
// safe for concurrent use.
type Broker struct {
	rdb      redis.UniversalClient
	connects *atomic.Uint64 // connections made so far
	cluster  bool
	opt      Options
	logger   *slog.Logger

	enqueues redisx.Batcher[*submission]
	soon     redisx.SharedTimer
	rights   *redisx.Rights
	events   *hub
	workers  workers

	died, lapsed atomic.Uint64 // tasks taken over: see TakenOver

	shortList    int // longest list that a revoked task is looked for in
	priorityList int // PriorityList

	checksMu sync.Mutex
	checks   map[Fault]uint64 // see Faults

	background sync.WaitGroup  // what fetchers do beside fetching
	closing    context.Context // ends with Close
	end        context.CancelFunc
}

// Open connects to the Redis at raw (see redisx.ParseURL) and warns when it may evict tasks. Errors are as of redisx.Connect.
func Open(ctx context.Context, raw string, opt Options) (*Broker, error) {
	if opt.Logger == nil {
		opt.Logger = slog.Default()
	}
	connects := new(atomic.Uint64)
	rdb, err := redisx.Connect(ctx, Setting, raw, func(o *redis.UniversalOptions) {
		o.OnConnect = func(context.Context, *redis.Conn) error { connects.Add(1); return nil }
	})
	if err != nil {
		return nil, err
	}
	_, cluster := rdb.(*redis.ClusterClient)
	b := &Broker{
		rdb: rdb, connects: connects, cluster: cluster, opt: opt, logger: opt.Logger, shortList: shortList, priorityList: PriorityList,
	}
	b.rights = redisx.NewRights(Setting, rdb, needs, b.logger)
	b.events = newHub(b)
	b.closing, b.end = context.WithCancel(context.WithoutCancel(ctx))
	b.enqueues = redisx.Batcher[*submission]{Flush: b.flushEnqueues, Size: enqueueBatch, MaxInFlight: enqueuesInFlight}
	if opt.NoPipelining {
		b.enqueues.Size, b.enqueues.MaxInFlight = 1, math.MaxInt
	}
	b.warnOfEviction(ctx)
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

// TakenOver counts the tasks that fetchers of this broker have taken over: from workers that died, and because their leases
// had ended without a worker that was known to have them.
func (b *Broker) TakenOver() (died, lapsed uint64) { return b.died.Load(), b.lapsed.Load() }

// CountTakenOver adds to what TakenOver counts.
func (b *Broker) CountTakenOver(died, lapsed int) {
	b.died.Add(uint64(died))
	b.lapsed.Add(uint64(lapsed))
}

// Options are those of Open; the logger is not nil.
func (b *Broker) Options() Options { return b.opt }

// Clustered tells whether it is a Redis Cluster, where no script or transaction may touch two queues.
func (b *Broker) Clustered() bool { return b.cluster }

// Connects counts the connections that were made so far.
func (b *Broker) Connects() uint64 { return b.connects.Load() }

// Closing ends with Close.
func (b *Broker) Closing() context.Context { return b.closing }

// Go runs what a worker does beside running tasks. Close waits for its end.
func (b *Broker) Go(f func()) { b.background.Go(f) }

// Close ends the connection. Close clients' and servers' work first.
func (b *Broker) Close() error {
	b.events.close()
	b.end()
	err := b.rdb.Close() // which ends the calls that block and the subscriptions
	b.background.Wait()
	if err != nil && !errors.Is(err, redis.ErrClosed) {
		return err
	}
	return nil
}

// Presence finds the queues that hold a task of the id, which in most cases is one. It looks into all queues in one round
// trip. The queue that the id begins with comes first.
func (b *Broker) Locate(ctx context.Context, id string) (holders []string, err error) {
	queues, err := b.rdb.SMembers(ctx, format.AllQueuesKey).Result()
	if err != nil {
		return nil, fmt.Errorf("list queues: %w", err)
	}
	if len(queues) == 0 {
		return nil, nil
	}
	pipe := b.rdb.Pipeline()
	found := make([]*redis.IntCmd, len(queues))
	for i, q := range queues {
		found[i] = pipe.Exists(ctx, format.TaskKey(q, id))
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, fmt.Errorf("look for task %s: %w", id, err)
	}
	for i, q := range queues {
		switch {
		case found[i].Val() == 0:
		case strings.HasPrefix(id, q+"_"):
			holders = slices.Insert(holders, 0, q)
		default:
			holders = append(holders, q)
		}
	}
	return holders, nil
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

// Together groups queues by what one script may touch: all, or on a Redis Cluster one.
func (b *Broker) Together(queues []string) [][]string {
	if !b.cluster {
		return [][]string{queues}
	}
	return slices.Collect(slices.Chunk(queues, 1))
}
