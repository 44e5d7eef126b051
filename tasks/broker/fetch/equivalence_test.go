package fetch_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/paidui/paidui/deploy/testenv"
	"github.com/paidui/paidui/tasks/broker"
	"github.com/paidui/paidui/tasks/broker/fetch"
	"github.com/paidui/paidui/tasks/broker/internal/brokertest"
)

// life is a task and what becomes of it.
type life struct {
	name               string
	ends               string // how its handler ends
	result             string
	retries            int
	retention          time.Duration
	unique             time.Duration
	scheduled, delayed bool
}

var lives = []life{
	{name: "done", ends: "well"},
	{name: "done-unique", ends: "well", unique: time.Hour},
	{name: "done-with-result", ends: "well", result: "lost"},
	{name: "complete", ends: "well", result: "42", retention: time.Hour},
	{name: "complete-unique", ends: "well", result: "43", retention: time.Hour, unique: time.Hour},
	{name: "retried", ends: "badly", retries: 3, retention: time.Hour},
	{name: "retried-unique", ends: "badly", retries: 3, unique: time.Hour},
	{name: "retried-with-result", ends: "badly", retries: 3, result: "half"},
	{name: "retried-for-free", ends: "freely", retries: 3},
	{name: "archived", ends: "badly"},
	{name: "archived-at-once", ends: "hopelessly", retries: 3, result: "half", unique: time.Hour},
	{name: "revoked", ends: "revoked", retries: 3},
	{name: "scheduled", ends: "well", scheduled: true},
	{name: "scheduled-unique", ends: "well", scheduled: true, unique: 2 * time.Hour, retention: time.Hour},
	{name: "delayed", ends: "well", delayed: true, result: "late", retention: time.Hour},
	{name: "put-back", ends: "never", unique: time.Hour},
	{name: "put-back-with-result", ends: "never", result: "half", retention: time.Hour},
}

var errFree = errors.New("costs no retry")

// handler runs lives. ran gets the name of each that begins; those that never end go on until over is closed.
func handler(ran chan<- string, over <-chan struct{}) asynq.HandlerFunc {
	return func(_ context.Context, task *asynq.Task) error {
		for _, l := range lives {
			if l.name != string(task.Payload()) {
				continue
			}
			if l.result != "" {
				if _, err := task.ResultWriter().Write([]byte(l.result)); err != nil {
					return err
				}
			}
			ran <- l.name
			switch l.ends {
			case "badly":
				return errors.New("it went badly")
			case "freely":
				return errFree
			case "hopelessly":
				return fmt.Errorf("no use: %w", asynq.SkipRetry)
			case "revoked":
				return asynq.RevokeTask
			case "never":
				<-over
			}
			return nil
		}
		return errors.New("unknown")
	}
}

// runLives runs the lives on a server whose client is rdb, and returns when it has stopped.
func runLives(t *testing.T, rdb redis.UniversalClient, stop func()) {
	t.Helper()
	cfg := brokertest.ServerConfig(map[string]int{"q": 1})
	cfg.Concurrency = len(lives)
	cfg.ShutdownTimeout = 100 * time.Millisecond
	cfg.RetryDelayFunc = func(int, error, *asynq.Task) time.Duration { return 3 * time.Hour }
	cfg.IsFailure = func(err error) bool { return !errors.Is(err, errFree) }
	server := asynq.NewServerFromRedisClient(rdb, cfg)
	ran, over := make(chan string, 2*len(lives)), make(chan struct{})
	require.NoError(t, server.Start(handler(ran, over)))
	t.Cleanup(func() { close(over) })
	for _, l := range lives {
		if !l.scheduled {
			<-ran
		}
	}
	var list []string
	require.Eventually(t, func() bool { // all have ended but those that never do
		var err error
		list, err = rdb.LRange(t.Context(), brokertest.Key("q", "active"), 0, -1).Result()
		return err == nil && len(list) == 2
	}, brokertest.Patience, time.Millisecond, "%v", &list)
	stop()
	server.Shutdown()
	require.Empty(t, ran, "each ran once")
}

// seedArchive adds dead letters, of which archiving another deletes some: one for its age, others as there are too many.
func seedArchive(t *testing.T, rdb redis.UniversalClient, begun time.Time) {
	t.Helper()
	const size = 10_000 // of asynq's archive
	members := []redis.Z{{Member: "old", Score: float64(begun.AddDate(0, 0, -91).Unix())}}
	for i := range size - 1 {
		members = append(members, redis.Z{Member: fmt.Sprintf("dead%05d", i), Score: float64(begun.Add(-time.Hour).Unix())})
	}
	require.NoError(t, rdb.ZAdd(t.Context(), brokertest.Key("q", "archived"), members...).Err())
	for _, id := range []string{"old", "dead00000", "dead00001", "dead09998"} {
		require.NoError(t, rdb.HSet(t.Context(), brokertest.Key("q", "t:"+id), "msg", "", "state", "archived").Err())
	}
}

// TestAsBareAsynq holds what Redis holds after Enqueue and a server on a Fetcher against what asynq's own client and
// server leave. It fails when an upgrade of asynq changes its data.
func TestAsBareAsynq(t *testing.T) {
	t.Parallel()
	begun := time.Now()
	due := begun.Add(5 * time.Hour).Truncate(time.Second)

	server := testenv.Redis(t)
	plain := redis.NewClient(&redis.Options{Addr: server.Addr})
	t.Cleanup(func() { require.NoError(t, plain.Close()) })
	var asynqs scriptLog
	plain.AddHook(&asynqs)
	client := asynq.NewClientFromRedisClient(plain)
	for _, l := range lives {
		opts := []asynq.Option{
			asynq.Queue("q"), asynq.TaskID(l.name), asynq.MaxRetry(l.retries), asynq.Timeout(time.Hour), asynq.Retention(l.retention),
		}
		if l.unique > 0 {
			opts = append(opts, asynq.Unique(l.unique))
		}
		if l.scheduled {
			opts = append(opts, asynq.ProcessAt(due))
		}
		if l.delayed {
			opts = append(opts, asynq.ProcessIn(time.Second))
		}
		_, err := client.Enqueue(asynq.NewTaskWithHeaders("life", []byte(l.name), map[string]string{"k": "v"}), opts...)
		require.NoError(t, err)
	}
	seedArchive(t, plain, begun)
	runLives(t, plain, func() {})
	want := dump(t, plain, begun)
	require.NotContains(t, want, brokertest.Key("q", "t:old"), "asynq deletes what is old")
	require.NotContains(t, want, brokertest.Key("q", "t:dead00000"), "and what is too much")
	require.Contains(t, want, brokertest.Key("q", "t:dead09998"))

	for name, opt := range map[string]broker.Options{"standard": {}, "alone": {NoPipelining: true, NoWakeUp: true}} {
		places := map[string]func(testing.TB) string{"redis": testenv.RedisURL}
		if name == "standard" {
			places["cluster"] = testenv.RedisCluster
		}
		for place, start := range places {
			t.Run(name+" "+place, func(t *testing.T) {
				t.Parallel()
				b := brokertest.OpenWith(t, start(t), opt)
				var ours scriptLog
				b.Redis().AddHook(&ours)
				var messages []*broker.Message
				for _, l := range lives {
					m := &broker.Message{
						Queue: "q", ID: l.name, Task: "life", Payload: []byte(l.name), Headers: []broker.Header{{Key: "k", Value: "v"}},
						MaxRetry: l.retries, Timeout: time.Hour, Retention: l.retention, UniqueFor: l.unique,
					}
					if l.scheduled {
						m.At = due
					}
					if l.delayed {
						m.At = time.Now().Add(time.Second)
					}
					messages = append(messages, m)
				}
				brokertest.Enqueue(t, b, messages...)
				seedArchive(t, b.Redis(), begun)
				f := fetch.New(b, fetch.Config{Queues: map[string]int{"q": 1}, Slots: len(lives)})
				runLives(t, f, f.Stop)
				got := dump(t, b.Redis(), begun)
				for k, e := range want { // here, a task that has failed is unique no longer
					if e.value == "archived-at-once" {
						require.NotContains(t, got, k)
						got[k] = e
					}
				}
				for k := range want {
					require.Equal(t, want[k], got[k], k)
				}
				for k := range got {
					require.Contains(t, want, k)
				}

				for sha, keys := range asynqs.touching("}:active") {
					require.NotContains(t, ours.scripts(), sha, "asynq's own script ran, with the keys %v", keys)
				}
				for sha := range ours.scripts() {
					if keys := asynqs.scripts()[sha]; len(keys) > 1 {
						require.NotContains(t, strings.Join(keys, " "), "}:lease", "asynq's own script ran")
					}
				}
			})
		}
	}
}

var day = regexp.MustCompile(`\d{4}-\d\d-\d\d$`)

// entry is what Redis holds under a key.
type entry struct {
	kind, lives string
	value       any
}

// dump is all that Redis holds. Times are told as hours since the beginning, what only we write is left out.
func dump(t *testing.T, rdb redis.UniversalClient, begun time.Time) map[string]entry {
	t.Helper()
	ctx := t.Context()
	hours := func(unix float64) string { return fmt.Sprintf("%.0fh", math.Abs(unix-float64(begun.Unix()))/3600) }
	keys, err := rdb.Keys(ctx, "*").Result()
	require.NoError(t, err)
	all := make(map[string]entry)
	for _, k := range keys {
		if strings.HasPrefix(k, "paidui:") {
			continue
		}
		kind, err := rdb.Type(ctx, k).Result()
		require.NoError(t, err)
		var value any
		switch kind {
		case "string":
			value, err = rdb.Get(ctx, k).Result()
		case "list":
			value, err = rdb.LRange(ctx, k, 0, -1).Result()
			if strings.HasSuffix(k, "}:pending") { // those that end together come back in any order
				value, err = rdb.Sort(ctx, k, &redis.Sort{Alpha: true}).Result()
			}
		case "set":
			value, err = rdb.Sort(ctx, k, &redis.Sort{Alpha: true}).Result()
		case "zset":
			var members []redis.Z
			members, err = rdb.ZRangeWithScores(ctx, k, 0, -1).Result()
			scores := make(map[string]string)
			for _, z := range members {
				scores[z.Member.(string)] = hours(z.Score)
			}
			value = scores
		case "hash":
			var fields map[string]string
			fields, err = rdb.HGetAll(ctx, k).Result()
			value = taskFields(fields)
		default:
			t.Fatalf("%s is a %s", k, kind)
		}
		require.NoError(t, err)
		ttl, err := rdb.TTL(ctx, k).Result()
		require.NoError(t, err)
		lives := "for ever"
		if ttl > 0 {
			lives = hours(float64(time.Now().Add(ttl).Unix()))
		}
		all[day.ReplaceAllString(k, "DAY")] = entry{kind, lives, value}
	}
	return all
}

// taskFields are those of a task's hash, without what differs on purpose: the owner and the list of runs are ours;
// pending_since stays while the task is active and after, where asynq reads it of pending tasks only; a completed task
// without a result has an empty one; a task that was put back has none, since the run that wrote it does not count.
func taskFields(fields map[string]string) map[string]any {
	out := make(map[string]any)
	for name, value := range fields {
		switch {
		case name == "owner" || name == "began" || name == "attempts":
		case name == "pending_since" && fields["state"] != "pending":
		case name == "pending_since":
		case name == "result" && (value == "" || fields["state"] == "pending"):
		case name == "msg":
			out[name] = messageFields(value)
		default:
			out[name] = value
		}
	}
	return out
}

// messageFields are those of asynq's message by number; of times it is only told that they are there.
func messageFields(message string) map[string]string {
	const lastFailedAt, completedAt = 11, 13
	out := make(map[string]string)
	for b := []byte(message); len(b) > 0; {
		field, kind, n := protowire.ConsumeTag(b)
		b = b[n:]
		n = protowire.ConsumeFieldValue(field, kind, b)
		value := fmt.Sprintf("%q", b[:n])
		if field == lastFailedAt || field == completedAt {
			value = "a time"
		}
		out[fmt.Sprint(field)] += value
		b = b[n:]
	}
	return out
}

// scriptLog notes which scripts a client sends, and the keys of one call of each.
type scriptLog struct {
	mu   sync.Mutex
	keys map[string][]string // by hash
}

func (l *scriptLog) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) { return next(ctx, network, addr) }
}

func (l *scriptLog) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		l.note(cmd)
		return next(ctx, cmd)
	}
}

func (l *scriptLog) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		for _, cmd := range cmds {
			l.note(cmd)
		}
		return next(ctx, cmds)
	}
}

func (l *scriptLog) note(cmd redis.Cmder) {
	args := cmd.Args()
	if len(args) < 3 {
		return
	}
	text, _ := args[1].(string)
	switch cmd.Name() {
	case "evalsha":
	case "eval":
		text = redis.NewScript(text).Hash()
	default:
		return
	}
	var keys []string
	n, _ := args[2].(int)
	for _, k := range args[3 : 3+n] {
		keys = append(keys, k.(string))
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.keys == nil {
		l.keys = make(map[string][]string)
	}
	l.keys[text] = keys
}

func (l *scriptLog) scripts() map[string][]string {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := make(map[string][]string)
	for sha, keys := range l.keys {
		out[sha] = keys
	}
	return out
}

// touching are the scripts with a key that ends so.
func (l *scriptLog) touching(suffix string) map[string][]string {
	out := make(map[string][]string)
	for sha, keys := range l.scripts() {
		for _, k := range keys {
			if strings.HasSuffix(k, suffix) {
				out[sha] = keys
			}
		}
	}
	return out
}
