package broker_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/tasks/broker"
)

// interceptor is a fetcher whose server's last word on a task can be held back, with asynq's own scripts.
type interceptor struct {
	*broker.Fetcher
	before func()
	after  chan error
	idle   bool // it gets no tasks and only recovers; otherwise it never recovers
}

func (i *interceptor) ends(keys []string) bool {
	return len(keys) > 3 && (strings.HasSuffix(keys[0], "}:active") || strings.HasSuffix(keys[1], "}:active"))
}

func (i *interceptor) EvalSha(ctx context.Context, sha string, keys []string, args ...any) *redis.Cmd {
	switch {
	case !i.idle && len(keys) == 1 && strings.HasSuffix(keys[0], "}:lease"):
		cmd := redis.NewCmd(ctx)
		cmd.SetVal([]any{}) // no lease has ended
		return cmd
	case i.idle && len(keys) == 4 && strings.HasSuffix(keys[0], "}:pending"):
		cmd := redis.NewCmd(ctx)
		cmd.SetErr(redis.Nil)
		return cmd
	case !i.ends(keys):
		return i.Fetcher.EvalSha(ctx, sha, keys, args...)
	}
	i.before()
	cmd := i.Fetcher.EvalSha(ctx, sha, keys, args...)
	if !redis.HasErrorPrefix(cmd.Err(), "NOSCRIPT") {
		i.after <- cmd.Err()
	}
	return cmd
}

func (i *interceptor) Eval(ctx context.Context, script string, keys []string, args ...any) *redis.Cmd {
	cmd := i.Fetcher.Eval(ctx, script, keys, args...)
	if i.ends(keys) {
		i.after <- cmd.Err()
	}
	return cmd
}

// ZAddXX leaves the leases to the test.
func (i *interceptor) ZAddXX(ctx context.Context, _ string, _ ...redis.Z) *redis.IntCmd {
	return redis.NewIntCmd(ctx)
}

// intercept serves the queue "q" and calls before as soon as the server ends a delivery, or recovers one. Afterwards after
// gives what came of that. Without a handler it only recovers.
func intercept(t *testing.T, b *broker.Broker, before func(*broker.Fetcher), h asynq.HandlerFunc) (after <-chan error) {
	t.Helper()
	queues := map[string]int{"q": 1}
	f := b.NewFetcher(broker.FetcherConfig{Name: "late", Queues: queues, Slots: 1})
	var once atomic.Bool
	i := &interceptor{Fetcher: f, idle: h == nil, after: make(chan error, 16), before: func() {
		if once.CompareAndSwap(false, true) {
			before(f)
		}
	}}
	cfg := serverConfig(queues)
	cfg.Concurrency = 1
	cfg.ShutdownTimeout = time.Millisecond
	cfg.RetryDelayFunc = func(int, error, *asynq.Task) time.Duration { return time.Hour }
	cfg.IsFailure = func(error) bool { return false }
	server := asynq.NewServerFromRedisClient(i, cfg)
	require.NoError(t, server.Start(h)) // which looks for ended leases at once
	t.Cleanup(func() {
		f.Stop()
		server.Shutdown()
	})
	return i.after
}

// lease sets when the lease of the task x ends, from now on; without one it has none.
func lease(t *testing.T, b *broker.Broker, ends *time.Duration) {
	t.Helper()
	if ends == nil {
		require.NoError(t, b.Redis().ZRem(t.Context(), key("q", "lease"), "x").Err())
		return
	}
	at := float64(time.Now().Add(*ends).Unix())
	require.NoError(t, b.Redis().ZAdd(t.Context(), key("q", "lease"), redis.Z{Score: at, Member: "x"}).Err())
}

// TestLateEndOfAForgottenDelivery: a worker says what became of a task long after it has forgotten the delivery. Only the
// end of a task whose lease has ended, which nobody has, means something: that its worker died.
func TestLateEndOfAForgottenDelivery(t *testing.T) {
	onSingle(t, func(t *testing.T, url string) {
		in := func(d time.Duration) *time.Duration { return &d }
		for name, c := range map[string]struct {
			end   error
			lease *time.Duration
			state string // the task's afterwards
		}{
			"retry, and another has the task":                 {errors.New("again"), in(20 * time.Second), "active"},
			"retry, and the other has a slow clock":           {errors.New("again"), in(-10 * time.Second), "active"},
			"retry, and the lease has ended":                  {errors.New("again"), in(-time.Minute), "retry"},
			"retry, and another has acknowledged just now":    {errors.New("again"), nil, "active"},
			"archive, and another has the task":               {fmt.Errorf("never: %w", asynq.SkipRetry), in(20 * time.Second), "active"},
			"archive, and the lease has ended":                {fmt.Errorf("never: %w", asynq.SkipRetry), in(-time.Minute), "archived"},
			"done, and another has the task":                  {nil, in(20 * time.Second), "active"},
			"done, and the lease has ended":                   {nil, in(-time.Minute), "active"},
			"done without a result, and another has the task": {asynq.RevokeTask, in(20 * time.Second), "active"},
		} {
			for _, retention := range []time.Duration{0, time.Hour} {
				t.Run(fmt.Sprint(name, " retained ", retention), func(t *testing.T) {
					b := open(t, url)
					require.NoError(t, b.Redis().FlushDB(t.Context()).Err())
					m := message("q", "x")
					m.UniqueFor, m.Retention, m.Tags = time.Hour, retention, []string{"tag"}
					enqueue(t, b, m)
					var before map[string]any
					after := intercept(t, b, func(f *broker.Fetcher) {
						f.Forget()
						require.NoError(t, b.Redis().HSet(t.Context(), key("q", "t:x"), "owner", "another|1").Err())
						lease(t, b, c.lease)
						before = lists(t, b.Redis(), "q")
					}, func(context.Context, *asynq.Task) error { return c.end })
					require.NoError(t, <-after)

					task := b.Redis().HGetAll(t.Context(), key("q", "t:x")).Val()
					require.Equal(t, c.state, task["state"])
					if c.state == "active" {
						require.Equal(t, before, lists(t, b.Redis(), "q"))
						require.Empty(t, task["crashes"])
						return
					}
					require.Equal(t, "1", task["crashes"])
					require.Contains(t, task["attempts"], `"worker":"another"`)
					require.Contains(t, task["attempts"], `"outcome":"crash"`)
					require.Zero(t, b.Redis().LLen(t.Context(), key("q", "active")).Val())
					require.Zero(t, b.Redis().ZCard(t.Context(), key("q", "lease")).Val())
					freed := b.Redis().Exists(t.Context(), task["unique_key"], "paidui:{q}:tag:tag").Val() == 0
					require.Equal(t, c.state == "archived", freed)
				})
			}
		}
	})
}

// TestRecovererComesSecond: two workers find the same ended lease. While one of them takes its time, the other puts the task
// back, and it runs.
func TestRecovererComesSecond(t *testing.T) {
	onSingle(t, func(t *testing.T, url string) {
		b := open(t, url)
		enqueue(t, b, message("q", "x"))
		dead, second := newWorker(t, b, 0, map[string]int{"q": 1}), newWorker(t, b, 0, map[string]int{"q": 1})
		dead.mustNext()
		ended := -2 * time.Minute
		lease(t, b, &ended)
		var before map[string]any
		after := intercept(t, b, func(*broker.Fetcher) {
			abandon(t, b.Redis(), "q", "x")
			second.mustNext()
			before = lists(t, b.Redis(), "q")
		}, nil)
		require.NoError(t, <-after)
		require.Equal(t, before, lists(t, b.Redis(), "q"))
		require.NoError(t, second.done(t.Context(), "q", "x"))
		require.Zero(t, b.Redis().Exists(t.Context(), key("q", "t:x")).Val())
	})
}
