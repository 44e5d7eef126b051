package broker

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	// fetchFallback bounds how long a queue that was seen empty goes unasked without a wake-up: for messages that were
	// lost, tasks that other programs enqueue, and queues that were resumed.
	fetchFallback = time.Second
	// The pauses after a fetch that failed; asynq itself would try again at once.
	firstFetchPause = 50 * time.Millisecond
	maxFetchPause   = time.Second
)

// Fetcher is a Redis client for one asynq server that waits where asynq would poll. It sees asynq's two polling
// scripts pass by and answers them itself while there is nothing to fetch:
//
//   - dequeue: a queue that was empty is not asked again before it rings or fetchFallback has passed; when all queues
//     are in that state the call waits.
//   - forward (tasks that become due): asynq keeps whole seconds, so one call a second is enough, if it comes right
//     after the second begins. The server asks often; only the first time in each second reaches Redis.
//
// Everything else goes straight through. One asynq server calls dequeue from a single goroutine.
type Fetcher struct {
	redis.UniversalClient
	bell   *bell
	closed chan struct{}
	once   sync.Once

	lastFetch atomic.Int64 // Unix nanoseconds of the last dequeue that Redis answered

	mu      sync.Mutex
	empties map[string]empty // by queue; missing: not asked yet
	queues  int
	pause   time.Duration

	forwardMu sync.Mutex
	forwarded map[string]int64 // by delayed set: the second in which it was last found drained
}

// empty remembers that a queue had nothing.
type empty struct {
	strokes uint64 // of the bell, read before Redis was asked
	at      time.Time
}

// NewFetcher makes the client of a server that serves the given number of queues.
func (b *Broker) NewFetcher(queues int) *Fetcher {
	return &Fetcher{
		UniversalClient: b.rdb,
		bell:            b.bell,
		closed:          make(chan struct{}),
		empties:         make(map[string]empty, queues),
		queues:          queues,
		forwarded:       make(map[string]int64, 2*queues),
	}
}

// Stop makes every dequeue find nothing from now on, and releases one that waits. Call it before stopping the server,
// which otherwise waits for its fetch to return. Twice is safe.
func (f *Fetcher) Stop() { f.once.Do(func() { close(f.closed) }) }

// LastFetch is when Redis last answered a dequeue, zero before the first.
func (f *Fetcher) LastFetch() time.Time {
	if ns := f.lastFetch.Load(); ns != 0 {
		return time.Unix(0, ns)
	}
	return time.Time{}
}

// EvalSha is how go-redis runs a script that the server knows.
func (f *Fetcher) EvalSha(ctx context.Context, sha string, keys []string, args ...any) *redis.Cmd {
	return f.script(ctx, keys, args, func() *redis.Cmd { return f.UniversalClient.EvalSha(ctx, sha, keys, args...) })
}

// Eval is how go-redis runs a script that the server does not know yet.
func (f *Fetcher) Eval(ctx context.Context, script string, keys []string, args ...any) *redis.Cmd {
	return f.script(ctx, keys, args, func() *redis.Cmd { return f.UniversalClient.Eval(ctx, script, keys, args...) })
}

func (f *Fetcher) script(ctx context.Context, keys []string, args []any, run func() *redis.Cmd) *redis.Cmd {
	if queue, ok := dequeueQueue(keys); ok {
		return f.dequeue(ctx, queue, run)
	}
	if queue, ok := forwardQueue(keys); ok && len(args) > 0 {
		if second, ok := args[0].(int64); ok {
			return f.forward(ctx, queue, keys[0], second, run)
		}
	}
	return run()
}

func (f *Fetcher) dequeue(ctx context.Context, queue string, run func() *redis.Cmd) *redis.Cmd {
	if !f.worthAsking(queue) {
		return nothing(ctx)
	}
	strokes := f.bell.strokes.of(queue)
	cmd := run()
	err := cmd.Err()
	if redis.HasErrorPrefix(err, "NOSCRIPT") {
		return cmd // go-redis comes again through Eval
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	switch err {
	case nil:
		delete(f.empties, queue)
	case redis.Nil:
		f.empties[queue] = empty{strokes: strokes, at: time.Now()}
	default:
		f.pause = min(max(2*f.pause, firstFetchPause), maxFetchPause)
		f.empties[queue] = empty{strokes: strokes, at: time.Now().Add(f.pause - fetchFallback)}
		return cmd
	}
	f.pause = 0
	f.lastFetch.Store(time.Now().UnixNano())
	return cmd
}

// worthAsking waits while every queue is known to be empty, and then says whether this queue should be asked.
func (f *Fetcher) worthAsking(queue string) bool {
	for {
		rung := f.bell.strokes.wait()
		ask, idle := f.look(queue, time.Now())
		select {
		case <-f.closed:
			return false
		default:
		}
		if ask || idle <= 0 {
			return ask
		}
		timer := time.NewTimer(idle)
		select {
		case <-f.closed:
		case <-rung:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// look says whether the queue may hold something; if not, idle is how long to wait when no other queue may either.
func (f *Fetcher) look(queue string, now time.Time) (ask bool, idle time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.empties) < f.queues {
		_, known := f.empties[queue]
		if !known {
			return true, 0
		}
	}
	idle = fetchFallback
	for q, e := range f.empties {
		left := e.at.Add(fetchFallback).Sub(now)
		if e.strokes != f.bell.strokes.of(q) {
			left = 0
		}
		if q == queue && left <= 0 {
			return true, 0
		}
		idle = min(idle, left)
	}
	if len(f.empties) < f.queues {
		return false, 0
	}
	return false, idle
}

func (f *Fetcher) forward(ctx context.Context, queue, delayed string, second int64, run func() *redis.Cmd) *redis.Cmd {
	f.forwardMu.Lock()
	drained := f.forwarded[delayed] == second
	f.forwardMu.Unlock()
	if drained {
		cmd := redis.NewCmd(ctx)
		cmd.SetVal(int64(0))
		return cmd
	}
	cmd := run()
	moved, err := cmd.Int()
	if err != nil {
		return cmd
	}
	if moved > 0 {
		f.bell.announce(queue, true)
	}
	if moved < forwardBatch {
		f.forwardMu.Lock()
		f.forwarded[delayed] = second
		f.forwardMu.Unlock()
	}
	return cmd
}

func nothing(ctx context.Context) *redis.Cmd {
	cmd := redis.NewCmd(ctx)
	cmd.SetErr(redis.Nil)
	return cmd
}
