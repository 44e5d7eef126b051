// Package brokertest holds what the tests of the broker and of its workers share.
package brokertest

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/paidui/paidui/deploy/testenv"
	"github.com/paidui/paidui/models/redisx/embedded"
	"github.com/paidui/paidui/tasks/broker"
	"github.com/paidui/paidui/tasks/broker/fetch"
)

// Patience bounds waits that a healthy system ends much earlier.
const Patience = 20 * time.Second

func Open(t testing.TB, url string) *broker.Broker {
	t.Helper()
	return OpenWith(t, url, broker.Options{})
}

func OpenWith(t testing.TB, url string, opt broker.Options) *broker.Broker {
	t.Helper()
	opt.Logger = testenv.Quiet()
	b, err := broker.Open(t.Context(), url, opt)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, b.Close()) })
	return b
}

// OnSingle runs a test on a real Redis and on the embedded one.
func OnSingle(t *testing.T, test func(t *testing.T, url string)) {
	t.Parallel()
	t.Run("redis", func(t *testing.T) {
		t.Parallel()
		test(t, testenv.RedisURL(t))
	})
	t.Run("embedded", func(t *testing.T) {
		t.Parallel()
		e, err := embedded.Start(context.WithoutCancel(t.Context())) // it outlives the workers
		require.NoError(t, err)
		t.Cleanup(e.Close)
		test(t, e.URL(0))
	})
}

// InEachMode runs a test with the broker's features on and off.
func InEachMode(t *testing.T, test func(t *testing.T, opt broker.Options)) {
	t.Parallel()
	for name, opt := range map[string]broker.Options{
		"standard":          {},
		"no pipelining":     {NoPipelining: true},
		"no wake-up":        {NoWakeUp: true},
		"neither of either": {NoPipelining: true, NoWakeUp: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, opt)
		})
	}
}

// Message is a task "t" with the id as its payload.
func Message(queue, id string) *broker.Message {
	return &broker.Message{
		Queue: queue, ID: id, Task: "t", Payload: []byte(strconv.Quote(id)), MaxRetry: 3, Timeout: time.Minute,
	}
}

// Numbered are messages with the ids 0, 1, 2 …
func Numbered(queue string, n int) []*broker.Message {
	list := make([]*broker.Message, n)
	for i := range list {
		list[i] = Message(queue, strconv.Itoa(i))
	}
	return list
}

func Enqueue(t testing.TB, b *broker.Broker, messages ...*broker.Message) {
	t.Helper()
	for i, r := range b.Enqueue(t.Context(), messages...) {
		require.NoError(t, r.Err)
		require.Equal(t, broker.Made, r.Outcome, messages[i].ID)
	}
}

// PendingIDs are the ids of a queue in the order in which they start.
func PendingIDs(t testing.TB, rdb redis.UniversalClient, queue string) []string {
	t.Helper()
	ids, err := rdb.LRange(t.Context(), "asynq:{"+queue+"}:pending", 0, -1).Result()
	require.NoError(t, err)
	for i, j := 0, len(ids)-1; i < j; i, j = i+1, j-1 {
		ids[i], ids[j] = ids[j], ids[i]
	}
	return ids
}

func ServerConfig(queues map[string]int) asynq.Config {
	return asynq.Config{
		Concurrency:              4,
		Queues:                   queues,
		LogLevel:                 asynq.FatalLevel,
		TaskCheckInterval:        time.Millisecond,
		DelayedTaskCheckInterval: 20 * time.Millisecond,
		ShutdownTimeout:          2 * time.Second,
	}
}

// Serve runs an asynq server whose polling the fetcher answers, with intervals that would flood Redis without it. stop
// ends it; twice is safe.
func Serve(t testing.TB, f *fetch.Fetcher, queues map[string]int, h asynq.HandlerFunc) (stop func()) {
	t.Helper()
	return ServeWith(t, f, ServerConfig(queues), h)
}

func ServeWith(t testing.TB, f *fetch.Fetcher, cfg asynq.Config, h asynq.HandlerFunc) (stop func()) {
	t.Helper()
	server := asynq.NewServerFromRedisClient(f, cfg)
	require.NoError(t, server.Start(h))
	stopped := false
	stop = func() {
		f.Stop()
		if !stopped {
			stopped = true
			server.Shutdown()
			f.Leave()
		}
	}
	t.Cleanup(stop)
	return stop
}

func FetcherConfig(queues map[string]int) fetch.Config {
	return fetch.Config{Queues: queues, Slots: ServerConfig(queues).Concurrency}
}

// Note is a handler that tells which tasks it runs.
func Note(ran chan<- string) asynq.HandlerFunc {
	return func(ctx context.Context, _ *asynq.Task) error {
		ran <- TaskID(ctx)
		return nil
	}
}

func AwaitFetch(t testing.TB, f *fetch.Fetcher) {
	t.Helper()
	require.Eventually(t, func() bool { return !f.LastFetch().IsZero() }, Patience, time.Millisecond)
}

// Worker speaks to a fetcher as asynq does, one call at a time.
type Worker struct {
	*fetch.Fetcher
	t       testing.TB
	name    string
	queues  []string
	stopped atomic.Bool
}

func NewWorker(t testing.TB, b *broker.Broker, slots int, weights map[string]int) *Worker {
	t.Helper()
	return NewWorkerWith(t, b, fetch.Config{Queues: weights, Slots: slots})
}

// NewWorkerWith is a worker with any configuration.
func NewWorkerWith(t testing.TB, b *broker.Broker, cfg fetch.Config) *Worker {
	t.Helper()
	w := &Worker{Fetcher: fetch.New(b, cfg), t: t, name: cfg.Name}
	for q := range cfg.Queues {
		w.queues = append(w.queues, q)
	}
	t.Cleanup(w.Stop)
	return w
}

// Of speaks to a fetcher that somebody else stops.
func Of(t testing.TB, f *fetch.Fetcher, name string, queues ...string) *Worker {
	return &Worker{Fetcher: f, t: t, name: name, queues: queues}
}

// Stop is Fetcher.Stop.
func (w *Worker) Stop() {
	w.stopped.Store(true)
	w.Fetcher.Stop()
}

// Next is the next task, which it waits for; ok is false once the fetcher has stopped.
func (w *Worker) Next() (queue, id string, ok bool) {
	queue, id, err := w.Try()
	for err != nil {
		if errors.Is(err, ErrStopped) {
			return "", "", false
		}
		queue, id, err = w.Try()
	}
	return queue, id, true
}

var ErrStopped = errors.New("stopped")

// Try asks the queues in turn, as asynq's Dequeue, until one has a task or the fetcher has stopped.
func (w *Worker) Try() (queue, id string, err error) {
	for n := 0; n < len(w.queues) || !w.stopped.Load(); n++ {
		q := w.queues[n%len(w.queues)]
		p := "asynq:{" + q + "}:"
		keys := []string{p + "pending", p + "paused", p + "active", p + "lease"}
		text, err := w.EvalSha(context.Background(), "dequeue", keys, time.Now().Add(30*time.Second).Unix(), p+"t:").Text()
		switch {
		case err == nil:
			return q, IDOf(text), nil
		case !errors.Is(err, redis.Nil):
			return "", "", err
		}
	}
	return "", "", ErrStopped
}

func (w *Worker) MustNext() (queue, id string) {
	w.t.Helper()
	queue, id, ok := w.Next()
	require.True(w.t, ok)
	return queue, id
}

// Done is asynq's call for a task without retention.
func (w *Worker) Done(ctx context.Context, queue, id string) error {
	p := "asynq:{" + queue + "}:"
	keys := []string{p + "active", p + "lease", p + "t:" + id, p + "processed:2026-01-02", p + "processed"}
	return w.EvalSha(ctx, "done", keys, id, time.Now().Add(time.Hour).Unix(), int64(1<<62)).Err()
}

// Complete is asynq's call for a task with retention.
func (w *Worker) Complete(ctx context.Context, queue, id string) error {
	p := "asynq:{" + queue + "}:"
	keys := []string{p + "active", p + "lease", p + "completed", p + "t:" + id, p + "processed:2026-01-02", p + "processed"}
	until := time.Now().Add(time.Hour).Unix()
	return w.EvalSha(ctx, "complete", keys, id, until, until, "message of "+id, int64(1<<62)).Err()
}

// IDOf reads the id in asynq's message.
func IDOf(message string) string {
	for b := []byte(message); len(b) > 0; {
		field, kind, n := protowire.ConsumeTag(b)
		b = b[n:]
		if field == 3 {
			id, _ := protowire.ConsumeString(b)
			return id
		}
		b = b[protowire.ConsumeFieldValue(field, kind, b):]
	}
	return ""
}

func TaskID(ctx context.Context) string {
	id, _ := asynq.GetTaskID(ctx)
	return id
}

// Stats are figures of Redis' INFO, as cmdstat_get or total_commands_processed; of command statistics the calls.
func Stats(t testing.TB, rdb redis.UniversalClient, section string) map[string]int {
	t.Helper()
	text, err := rdb.Info(t.Context(), section).Result()
	require.NoError(t, err)
	figures := make(map[string]int)
	for line := range strings.Lines(text) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		value, _, _ = strings.Cut(strings.TrimPrefix(value, "calls="), ",")
		if n, err := strconv.Atoi(value); err == nil {
			figures[name] = n
		}
	}
	return figures
}

// ScriptCalls is how many scripts Redis has run.
func ScriptCalls(t testing.TB, rdb redis.UniversalClient) int {
	t.Helper()
	calls := Stats(t, rdb, "commandstats")
	return calls["cmdstat_eval"] + calls["cmdstat_evalsha"]
}

// MiddleOfASecond waits for it: due tasks are looked for as a second begins.
func MiddleOfASecond() {
	<-time.After(time.Until(time.Now().Truncate(time.Second).Add(1500 * time.Millisecond)))
}

func Key(queue, rest string) string { return fmt.Sprintf("asynq:{%s}:%s", queue, rest) }

// Gate is one whose function has the body.
func Gate(body string) *broker.GateScript {
	return broker.LoadGate(fstest.MapFS{"gate.lua": {Data: []byte("function gate(ARGV)\n" + body + "\nend")}}, "gate.lua")
}
