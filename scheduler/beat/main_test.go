package beat

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hibiken/asynq"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/deploy/testenv"
	"github.com/paidui/paidui/tasks"
	"github.com/paidui/paidui/tasks/broker"
)

func TestMain(m *testing.M) {
	if childMain() {
		return
	}
	testenv.Main(m)
}

type sumArgs struct {
	N int `json:"n"`
	M int `json:"m"`
}

type noArgs struct{}

var (
	sum  = tasks.Define[sumArgs, int]("test.sum", tasks.Queue("sums"))
	noop = tasks.Define[noArgs, int]("test.noop")
)

func catalog(t testing.TB) *tasks.Catalog {
	t.Helper()
	c, err := tasks.NewCatalog(sum, noop)
	require.NoError(t, err)
	return c
}

// stepClock stands still until a test moves it.
type stepClock struct {
	mu    sync.Mutex
	now   time.Time
	moved chan struct{} // closed by the next move
}

func newStepClock(now time.Time) *stepClock {
	return &stepClock{now: now, moved: make(chan struct{})}
}

func (c *stepClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *stepClock) Set(now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = now
	close(c.moved)
	c.moved = make(chan struct{})
}

func (c *stepClock) WaitUntil(ctx context.Context, t time.Time) error {
	for {
		c.mu.Lock()
		reached, moved := !c.now.Before(t), c.moved
		c.mu.Unlock()
		if reached {
			return ctx.Err()
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-moved:
		}
	}
}

func (c *stepClock) Sleep(ctx context.Context, d time.Duration) error {
	return c.WaitUntil(ctx, c.Now().Add(d))
}

// fastClock runs at a multiple of real time.
type fastClock struct {
	base, start time.Time
	speed       int
	most        *atomic.Int64 // seconds after base at which it stands still until follow is called; nil is never
}

func newFastClock(base time.Time, speed int) fastClock {
	return fastClock{base: base, start: time.Now(), speed: speed}
}

// newLedClock is a fast clock that waits for who works by it: more than maxCatchUp ticks behind it, they drop some.
func newLedClock(base time.Time, speed int) fastClock {
	c := newFastClock(base, speed)
	c.most = new(atomic.Int64)
	c.follow(0)
	return c
}

// follow tells that n ticks, one a second, are done.
func (c fastClock) follow(n int) { c.most.Store(int64(n + maxCatchUp/2)) }

func (c fastClock) Now() time.Time {
	past := time.Since(c.start) * time.Duration(c.speed)
	if c.most != nil {
		past = min(past, time.Duration(c.most.Load())*time.Second)
	}
	return c.base.Add(past)
}

func (c fastClock) WaitUntil(ctx context.Context, t time.Time) error {
	for {
		remaining := t.Sub(c.Now())
		if remaining <= 0 {
			return ctx.Err()
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(max(remaining/time.Duration(c.speed), time.Millisecond)):
		}
	}
}

func (c fastClock) Sleep(ctx context.Context, d time.Duration) error {
	return c.WaitUntil(ctx, c.Now().Add(d))
}

func scheduleFile(t testing.TB, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "schedules.yaml")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

func newBeat(t testing.TB, b *broker.Broker, path string, clock Clock) *Beat {
	t.Helper()
	beat, err := New(Options{
		Path: path, Catalog: catalog(t), Client: tasks.NewClient(b), Redis: b.Redis(),
		Logger: testenv.Quiet(), Clock: clock, Registerer: prometheus.NewRegistry(),
	})
	require.NoError(t, err)
	return beat
}

// start runs a scheduler and returns what stops it; the test's end does too.
func start(t testing.TB, b *Beat) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- b.Run(ctx) }()
	var once sync.Once
	stop = func() {
		once.Do(func() {
			cancel()
			require.NoError(t, <-done)
		})
	}
	t.Cleanup(stop)
	return stop
}

func startReady(t testing.TB, b *Beat) (stop func()) {
	t.Helper()
	stop = start(t, b)
	testenv.Eventually(t, func() bool { return b.Ready(t.Context()) == nil })
	return stop
}

// queued lists the ticks of an entry that are in a queue, pending, in order.
func queued(t testing.TB, rdb redis.UniversalClient, queue, entry string) []time.Time {
	t.Helper()
	list := []time.Time{}
	inspector := asynq.NewInspectorFromRedisClient(rdb)
	if queues, err := inspector.Queues(); err != nil || len(queues) == 0 {
		require.NoError(t, err)
		return list
	}
	for page := 1; ; page++ {
		infos, err := inspector.ListPendingTasks(queue, asynq.Page(page), asynq.PageSize(500))
		require.NoError(t, err)
		if len(infos) == 0 {
			return list
		}
		for _, info := range infos {
			if tick, ok := tickOf(info.ID, entry); ok {
				list = append(list, tick)
			}
		}
	}
}

func tickOf(id, entry string) (time.Time, bool) {
	rest, ok := strings.CutPrefix(id, entry+"@")
	if !ok {
		return time.Time{}, false
	}
	seconds, _, _ := strings.Cut(rest, "-")
	unix, err := strconv.ParseInt(seconds, 10, 64)
	return time.Unix(unix, 0).UTC(), err == nil
}
