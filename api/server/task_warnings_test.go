package server_test

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/deploy/testenv"
	"github.com/paidui/paidui/tasks"
	"github.com/paidui/paidui/tasks/demo"
	"github.com/paidui/paidui/tasks/taskstest"
)

func TestACallThatNobodyCanRunSaysSo(t *testing.T) {
	t.Parallel()
	s := start(t)
	call := func(body string, more ...with) []warning {
		a := s.Post("/v1/tasks", body, append(more, asOperator)...)
		require.Equal(t, 100, a.Code, "%s", a.Raw)
		require.Equal(t, 200, s.Get("/v1/tasks/"+a.TaskID, asOperator).Status, "it is made")
		return a.Warnings
	}
	await := func(body, code string) warning {
		var got []warning
		require.Eventually(t, func() bool {
			got = call(body)
			return len(got) == 1 && got[0].Code == code
		}, time.Minute, 10*time.Millisecond)
		return got[0]
	}
	silent := func(body string) {
		require.Eventually(t, func() bool { return call(body) == nil }, time.Minute, 10*time.Millisecond)
	}
	const add, elsewhere = `{"task":"demo.add","args":{"n":1,"m":2}}`, `{"task":"demo.add","args":{"n":1,"m":2},"queue":"nobody"}`
	const low = `{"task":"demo.low","args":{"n":1,"m":2},"queue":"default"}`

	require.Equal(t, "没有在线的 worker 处理队列 default：任务会等到有为止", await(add, "no_worker").Msg)
	require.Eventually(t, func() bool {
		got := call(add, inEnglish)
		return len(got) == 1 && got[0].Msg == "no worker that is up takes from queue default: the task waits for one"
	}, time.Minute, 10*time.Millisecond)

	// A worker of another process, with one handler.
	other := taskstest.Broker(t, s.redis.URL(1))
	mux := tasks.NewMux(tasks.MuxOptions{Logger: testenv.Quiet()})
	tasks.Handle(mux, demo.Add, func(context.Context, demo.AddArgs) (int, error) { return 3, nil })
	taskstest.Serve(t, other, mux, "default")
	silent(add)
	require.Contains(t, await(low, "unknown_task").Msg, "demo.low")
	await(elsewhere, "no_worker")
	require.Equal(t, 1, strings.Count(s.log.String(), `"warning":"unknown_task"`), "once a minute")

	var items []batchItem
	require.Eventually(t, func() bool {
		items = s.batch(t, []any{
			map[string]any{"task": "demo.add", "args": map[string]int{"n": 1, "m": 2}},
			map[string]any{"task": "demo.add", "args": map[string]int{"n": 1, "m": 2}, "queue": "nobody"},
			map[string]any{"task": "demo.nothing"},
		})
		return items[0].Warnings == nil && len(items[1].Warnings) == 1 && items[2].Warnings == nil
	}, time.Minute, 10*time.Millisecond)
	require.Equal(t, "no_worker", items[1].Warnings[0].Code)

	// A worker of this process counts from the moment it is made, and nothing is said of it.
	s.work(t)
	silent(low)
}

// TestWarningsNeverHoldACallUp: nothing that is asked for them may take long, and a caller who has left learns of none.
func TestWarningsNeverHoldACallUp(t *testing.T) {
	t.Parallel()
	b := taskstest.Broker(t, testenv.RedisURL(t))
	client := tasks.NewClient(b)
	call := demo.Add.Signature(demo.AddArgs{})
	require.Eventually(t, func() bool { return client.Warnings(t.Context(), call) != nil }, time.Minute, 10*time.Millisecond)
	require.Nil(t, client.Warnings(t.Context(), tasks.Signature{}))
	var asked limits
	b.Redis().AddHook(&asked)
	gone, leave := context.WithCancel(t.Context())
	leave()
	other := call.With(tasks.Queue("other"))
	require.Nil(t, client.Warnings(gone, other))
	require.Zero(t, asked.commands.Load())
	require.Eventually(t, func() bool { return client.Warnings(t.Context(), other) != nil }, time.Minute, 10*time.Millisecond)
	require.Positive(t, asked.commands.Load())
	require.Zero(t, asked.long.Load(), "commands that may take more than a tenth of a second")
}

// limits counts commands, and those that may take more than a tenth of a second.
type limits struct{ commands, long atomic.Int64 }

func (l *limits) DialHook(next redis.DialHook) redis.DialHook { return next }

func (l *limits) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		l.count(ctx)
		return next(ctx, cmd)
	}
}

func (l *limits) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		l.count(ctx)
		return next(ctx, cmds)
	}
}

func (l *limits) count(ctx context.Context) {
	l.commands.Add(1)
	if until, limited := ctx.Deadline(); !limited || time.Until(until) > 100*time.Millisecond {
		l.long.Add(1)
	}
}
