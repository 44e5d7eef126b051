package fetch

import (
	"cmp"
	"context"
	"log/slog"
	"math"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/paidui/paidui/models/redisx"
	"github.com/paidui/paidui/tasks/broker"
	"github.com/paidui/paidui/tasks/broker/internal/format"
)

// Config says what a fetcher serves.
type Config struct {
	Name   string         // the worker's, which its deliveries carry
	Queues map[string]int // weight by queue, at least 1: how often it is asked first
	Slots  int            // the server's concurrency; how many tasks the fetcher takes at once. 0 is one
	// MaxSlots is the server's own concurrency, where Slots can be changed while it runs: the fetcher then gives it no more
	// than Slots tasks at a time, whatever it asks for. 0 is that Slots are the server's and stay.
	MaxSlots int
	// Tasks are the names of those that the worker has handlers for. Nil is that it does not tell: it keeps no record, and
	// takes no commands.
	Tasks    []string
	Version  string         // of the program, for the record
	LogLevel *slog.LevelVar // what a command changes; nil is that none can
	// Life is how long a worker may be silent before others take over what it holds. It beats three times within it. All
	// workers of a Redis should have the same. 0 is 5 s.
	Life time.Duration
}

// Fetcher is the Redis client of one asynq server. It sees asynq's calls pass by and makes them good:
//
//   - dequeue: a script fetches tasks for all free slots at once, from all queues, and asynq gets them one by one; while
//     tasks are quick, the next are fetched before slots are free. While there is nothing the call waits to be woken,
//     where asynq would poll.
//   - the acknowledgements (done, complete, retry, archive, requeue): concurrent ones share a round trip. Each is fenced:
//     it has no effect once another worker has got the task, or this one got it anew. It carries the task's result,
//     which has no round trip of its own and can't be written late. When Redis does not answer it is repeated.
//   - the subscription to cancellations: while Redis refuses it, one connection is open at a time, and the tries become
//     fewer.
//   - the leases, and the recovery of tasks whose leases have ended: asynq learns that all is well. The fetcher has a life in
//     Redis instead, which it prolongs by a heartbeat, and takes over the tasks of lives that have ended.
//   - forward (tasks that become due): asynq keeps whole seconds, so one call a second is enough, if it comes right
//     after the second begins. The server asks often; only the first time in each second reaches Redis.
//
// Everything else goes straight through.
type Fetcher struct {
	redis.UniversalClient
	b            *broker.Broker
	logger       *slog.Logger
	cfg          Config
	served       atomic.Pointer[served] // what it takes tasks from
	control      control
	closed       chan struct{}
	once         sync.Once
	started      sync.Once
	left         sync.Once
	endListening context.CancelFunc // ends listenTerminate and checkTerminated
	life         life
	sleeper      *sleeper

	lastFetch atomic.Int64 // Unix nanoseconds of the last dequeue that Redis answered

	prefetched prefetched
	reclaimed  uint64 // the broker's connections when reclaim last looked
	share      priorityShare
	deliveries deliveries
	acks       redisx.Batcher[*acknowledgement]

	due     due
	cancels cancels
}

// New makes the client of a server, whose TaskCheckInterval should be short: the fetcher does the waiting.
func New(b *broker.Broker, cfg Config) *Fetcher {
	f := &Fetcher{
		UniversalClient: b.Redis(),
		b:               b,
		logger:          b.Options().Logger,
		cfg:             cfg,
		closed:          make(chan struct{}),
		prefetched:      prefetched{patience: aheadPatience},
		cancels:         cancels{first: firstCancelPause},
		deliveries:      newDeliveries(cfg.Name),
	}
	now := newServed(cfg.Queues)
	f.served.Store(now)
	f.life.name, f.life.limit = strings.TrimSuffix(f.deliveries.prefix, "."), cmp.Or(cfg.Life, format.StandardLife)
	f.reclaimed = b.Connects()
	f.sleeper = newSleeper(b, now.queues, f.closed)
	f.control.begin(f, now)
	f.acks = redisx.Batcher[*acknowledgement]{Flush: f.flushAcks, Size: ackBatch, MaxInFlight: acksInFlight}
	if b.Options().NoPipelining {
		f.acks.Size, f.acks.MaxInFlight = 1, math.MaxInt
	}
	return f
}

// Stop makes every dequeue find nothing from now on, releases one that waits, and puts back what was fetched ahead.
// Call it before stopping the server, which otherwise waits for its fetch to return, and Leave after that. Twice is safe.
func (f *Fetcher) Stop() {
	f.once.Do(func() {
		close(f.closed)
		f.control.stop(f)
		f.started.Do(func() {}) // not any more
		if f.endListening != nil {
			f.endListening()
		}
		rest := f.prefetched.close()
		f.prefetched.fetches.Wait() // what they bring is put back, too
		f.returnBatches(rest)
	})
}

// leaveLimit bounds how long Leave may take.
const leaveLimit = 2 * time.Second

// Leave ends the worker's life. Others take over at once what it still holds, which after a server's shutdown is nothing
// unless Redis did not answer. Without Leave the life goes on until the broker is closed. Twice is safe.
func (f *Fetcher) Leave() {
	f.Stop()
	f.left.Do(func() {
		if f.life.end == nil { // it has not begun
			return
		}
		f.life.end()
		<-f.life.over
		<-f.control.over
		ctx, cancel := context.WithTimeout(context.WithoutCancel(f.b.Closing()), leaveLimit)
		defer cancel()
		if err := f.sendLeave(ctx); err != nil {
			f.logger.Warn("the worker ends without a word to the broker: others take over what it holds a little later",
				"worker", f.cfg.Name, "error", err)
		}
	})
}

func (f *Fetcher) stopped() bool {
	select {
	case <-f.closed:
		return true
	default:
		return false
	}
}

// start begins what runs beside the fetching: only a fetcher that is asked for tasks needs it.
func (f *Fetcher) start() {
	f.started.Do(func() {
		ctx, cancel := context.WithCancel(f.b.Closing())
		f.endListening = cancel
		f.b.Go(func() { f.listenTerminate(ctx) })
		f.b.Go(func() { f.checkTerminated(ctx) })
		beating, end := context.WithCancel(f.b.Closing())
		f.life.end, f.life.over = end, make(chan struct{})
		f.control.over = make(chan struct{})
		f.b.Go(func() { f.beats(beating) })
		f.b.Go(func() { f.obeys(beating) })
	})
}

// LastFetch is when Redis last answered a dequeue, zero before the first.
func (f *Fetcher) LastFetch() time.Time {
	if ns := f.lastFetch.Load(); ns != 0 {
		return time.Unix(0, ns)
	}
	return time.Time{}
}

// EvalSha is how asynq runs its scripts. What is not recognised goes straight through.
func (f *Fetcher) EvalSha(ctx context.Context, sha string, keys []string, args ...any) *redis.Cmd {
	if end, ok := isEndCall(keys, args); ok {
		return f.acknowledge(ctx, end)
	}
	if queue, ok := isDequeueCall(keys); ok {
		return f.dequeue(ctx, queue)
	}
	if queue, second, ok := isForwardCall(keys, args); ok {
		return f.forward(ctx, queue, keys[0], second, args)
	}
	if info, ok := isServerState(keys, args); ok {
		args[1] = f.correctServerInfo(info)
	}
	if isRecoverCall(keys) { // beats find them
		cmd := redis.NewCmd(ctx)
		cmd.SetVal([]any{})
		return cmd
	}
	return f.UniversalClient.EvalSha(ctx, sha, keys, args...)
}

// HSet keeps a task's result for its acknowledgement.
func (f *Fetcher) HSet(ctx context.Context, key string, values ...any) *redis.IntCmd {
	if result, ok := isResultWrite(values); ok && f.deliveries.keep(key, result) {
		return redis.NewIntCmd(ctx)
	}
	return f.UniversalClient.HSet(ctx, key, values...)
}

func nothing(ctx context.Context) *redis.Cmd { return failed(ctx, redis.Nil) }

func failed(ctx context.Context, err error) *redis.Cmd {
	cmd := redis.NewCmd(ctx)
	cmd.SetErr(err)
	return cmd
}
