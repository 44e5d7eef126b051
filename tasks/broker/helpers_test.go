package broker_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/paidui/paidui/deploy/testenv"
	"github.com/paidui/paidui/models/redisx"
	"github.com/paidui/paidui/tasks/broker"
)

// patience bounds waits that a healthy system ends much earlier.
const patience = 20 * time.Second

func open(t testing.TB, url string) *broker.Broker {
	t.Helper()
	return openWith(t, url, broker.Options{})
}

func openWith(t testing.TB, url string, opt broker.Options) *broker.Broker {
	t.Helper()
	opt.Logger = testenv.Quiet()
	b, err := broker.Open(t.Context(), url, opt)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, b.Close()) })
	return b
}

// onSingle runs a test on a real Redis and on the embedded one.
func onSingle(t *testing.T, test func(t *testing.T, url string)) {
	t.Parallel()
	t.Run("redis", func(t *testing.T) {
		t.Parallel()
		test(t, testenv.RedisURL(t))
	})
	t.Run("embedded", func(t *testing.T) {
		t.Parallel()
		e, err := redisx.StartEmbedded(context.WithoutCancel(t.Context())) // it outlives the workers
		require.NoError(t, err)
		t.Cleanup(e.Close)
		test(t, e.URL(0))
	})
}

// inEachMode runs a test with the broker's features on and off.
func inEachMode(t *testing.T, test func(t *testing.T, opt broker.Options)) {
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

// message is a task "t" with the id as its payload.
func message(queue, id string) *broker.Message {
	return &broker.Message{
		Queue: queue, ID: id, Task: "t", Payload: []byte(strconv.Quote(id)), MaxRetry: 3, Timeout: time.Minute,
	}
}

// numbered are messages with the ids 0, 1, 2 …
func numbered(queue string, n int) []*broker.Message {
	list := make([]*broker.Message, n)
	for i := range list {
		list[i] = message(queue, strconv.Itoa(i))
	}
	return list
}

func enqueue(t testing.TB, b *broker.Broker, messages ...*broker.Message) {
	t.Helper()
	for i, r := range b.Enqueue(t.Context(), messages...) {
		require.NoError(t, r.Err)
		require.Equal(t, broker.Made, r.Outcome, messages[i].ID)
	}
}

// pendingIDs are the ids of a queue in the order in which they start.
func pendingIDs(t testing.TB, rdb redis.UniversalClient, queue string) []string {
	t.Helper()
	ids, err := rdb.LRange(t.Context(), "asynq:{"+queue+"}:pending", 0, -1).Result()
	require.NoError(t, err)
	for i, j := 0, len(ids)-1; i < j; i, j = i+1, j-1 {
		ids[i], ids[j] = ids[j], ids[i]
	}
	return ids
}

func serverConfig(queues map[string]int) asynq.Config {
	return asynq.Config{
		Concurrency:              4,
		Queues:                   queues,
		LogLevel:                 asynq.FatalLevel,
		TaskCheckInterval:        time.Millisecond,
		DelayedTaskCheckInterval: 20 * time.Millisecond,
		ShutdownTimeout:          2 * time.Second,
	}
}

// serve runs an asynq server whose polling the fetcher answers, with intervals that would flood Redis without it. stop
// ends it; twice is safe.
func serve(t testing.TB, f *broker.Fetcher, queues map[string]int, h asynq.HandlerFunc) (stop func()) {
	t.Helper()
	return serveWith(t, f, serverConfig(queues), h)
}

func serveWith(t testing.TB, f *broker.Fetcher, cfg asynq.Config, h asynq.HandlerFunc) (stop func()) {
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

func fetcherConfig(queues map[string]int) broker.FetcherConfig {
	return broker.FetcherConfig{Queues: queues, Slots: serverConfig(queues).Concurrency}
}

// note is a handler that tells which tasks it runs.
func note(ran chan<- string) asynq.HandlerFunc {
	return func(ctx context.Context, _ *asynq.Task) error {
		ran <- taskID(ctx)
		return nil
	}
}

func awaitFetch(t testing.TB, f *broker.Fetcher) {
	t.Helper()
	require.Eventually(t, func() bool { return !f.LastFetch().IsZero() }, patience, time.Millisecond)
}

// worker speaks to a fetcher as asynq does, one call at a time.
type worker struct {
	*broker.Fetcher
	t      testing.TB
	queues []string
}

func newWorker(t testing.TB, b *broker.Broker, slots int, weights map[string]int) *worker {
	t.Helper()
	w := &worker{Fetcher: b.NewFetcher(broker.FetcherConfig{Queues: weights, Slots: slots}), t: t}
	for q := range weights {
		w.queues = append(w.queues, q)
	}
	t.Cleanup(w.Stop)
	return w
}

// next is the next task, which it waits for; ok is false once the fetcher has stopped.
func (w *worker) next() (queue, id string, ok bool) {
	queue, id, err := w.try()
	for err != nil {
		if errors.Is(err, errStopped) {
			return "", "", false
		}
		queue, id, err = w.try()
	}
	return queue, id, true
}

var errStopped = errors.New("stopped")

// try asks the queues in turn, as asynq's Dequeue, until one has a task or the fetcher has stopped.
func (w *worker) try() (queue, id string, err error) {
	for n := 0; n < len(w.queues) || !w.Stopped(); n++ {
		q := w.queues[n%len(w.queues)]
		p := "asynq:{" + q + "}:"
		keys := []string{p + "pending", p + "paused", p + "active", p + "lease"}
		text, err := w.EvalSha(context.Background(), "dequeue", keys, time.Now().Add(30*time.Second).Unix(), p+"t:").Text()
		switch {
		case err == nil:
			return q, idOf(text), nil
		case !errors.Is(err, redis.Nil):
			return "", "", err
		}
	}
	return "", "", errStopped
}

func (w *worker) mustNext() (queue, id string) {
	w.t.Helper()
	queue, id, ok := w.next()
	require.True(w.t, ok)
	return queue, id
}

// done is asynq's call for a task without retention.
func (w *worker) done(ctx context.Context, queue, id string) error {
	p := "asynq:{" + queue + "}:"
	keys := []string{p + "active", p + "lease", p + "t:" + id, p + "processed:2026-01-02", p + "processed"}
	return w.EvalSha(ctx, "done", keys, id, time.Now().Add(time.Hour).Unix(), int64(1<<62)).Err()
}

// complete is asynq's call for a task with retention.
func (w *worker) complete(ctx context.Context, queue, id string) error {
	p := "asynq:{" + queue + "}:"
	keys := []string{p + "active", p + "lease", p + "completed", p + "t:" + id, p + "processed:2026-01-02", p + "processed"}
	until := time.Now().Add(time.Hour).Unix()
	return w.EvalSha(ctx, "complete", keys, id, until, until, "message of "+id, int64(1<<62)).Err()
}

// idOf reads the id in asynq's message.
func idOf(message string) string {
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

func taskID(ctx context.Context) string {
	id, _ := asynq.GetTaskID(ctx)
	return id
}

// stats are figures of Redis' INFO, as cmdstat_get or total_commands_processed; of command statistics the calls.
func stats(t testing.TB, rdb redis.UniversalClient, section string) map[string]int {
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

// scriptCalls is how many scripts Redis has run.
func scriptCalls(t testing.TB, rdb redis.UniversalClient) int {
	t.Helper()
	calls := stats(t, rdb, "commandstats")
	return calls["cmdstat_eval"] + calls["cmdstat_evalsha"]
}

// middleOfASecond waits for it: due tasks are looked for as a second begins.
func middleOfASecond() {
	<-time.After(time.Until(time.Now().Truncate(time.Second).Add(1500 * time.Millisecond)))
}

func key(queue, rest string) string { return fmt.Sprintf("asynq:{%s}:%s", queue, rest) }
