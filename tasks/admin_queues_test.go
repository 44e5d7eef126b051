package tasks_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/deploy/testenv"
	"github.com/paidui/paidui/models/away"
	"github.com/paidui/paidui/tasks"
	"github.com/paidui/paidui/tasks/broker"
	"github.com/paidui/paidui/tasks/taskstest"
)

// patience bounds waits that a healthy system ends much earlier.
const patience = 20 * time.Second

func TestQueuesArePaged(t *testing.T) {
	onEachBroker(t, func(t *testing.T, b *broker.Broker) {
		client := tasks.NewClient(b, tasks.ClientOptions{MaxLength: map[string]int{"q-3": 7}})
		page, next, err := client.Queues(t.Context(), "", 10)
		require.NoError(t, err)
		require.Empty(t, page)
		require.Empty(t, next)
		for n := range 5 {
			for i := range n + 1 {
				_, err := sum.Enqueue(t.Context(), client, pair{N: i}, tasks.Queue(fmt.Sprint("q-", n)), tasks.Priority(tasks.High))
				require.NoError(t, err)
			}
		}
		var names []string
		for cursor := ""; ; {
			page, next, err := client.Queues(t.Context(), cursor, 2)
			require.NoError(t, err)
			for _, q := range page {
				require.Equal(t, tasks.PendingByPriority{High: len(names) + 1}, q.ByPriority)
				require.Equal(t, len(names)+1, q.Pending)
				names = append(names, q.Name)
				one, err := client.Queue(t.Context(), q.Name)
				require.NoError(t, err)
				require.Equal(t, []any{q.Name, q.Pending, q.MaxLength}, []any{one.Name, one.Pending, one.MaxLength})
			}
			if cursor = next; cursor == "" {
				break
			}
		}
		require.Equal(t, []string{"q-0", "q-1", "q-2", "q-3", "q-4"}, names)
		one, err := client.Queue(t.Context(), "q-3")
		require.NoError(t, err)
		require.Equal(t, 7, one.MaxLength)
		for _, limit := range []int{-1, 0, 1001} {
			requireOption(t, "limit", func() error { _, _, err := client.Queues(t.Context(), "", limit); return err })
		}
		requireOption(t, "cursor", func() error { _, _, err := client.Queues(t.Context(), "%", 1); return err })
	})
}

func requireOption(t *testing.T, field string, call func() error) {
	t.Helper()
	var option *tasks.OptionError
	require.ErrorAs(t, call(), &option)
	require.Equal(t, field, option.Field)
}

// TestQueuesThatAreNotThere: nothing is made of them.
func TestQueuesThatAreNotThere(t *testing.T) {
	onEachBroker(t, func(t *testing.T, b *broker.Broker) {
		client := tasks.NewClient(b)
		ctx := t.Context()
		for _, name := range []string{"", "nobody", "a b", "}{", "a:b", strings.Repeat("q", 65), "队列", "*", "../x", "\x00"} {
			for call, err := range map[string]error{
				"queue":  func() error { _, err := client.Queue(ctx, name); return err }(),
				"pause":  func() error { _, _, err := client.PauseQueue(ctx, name, "me"); return err }(),
				"resume": func() error { _, err := client.ResumeQueue(ctx, name); return err }(),
				"purge": func() error {
					_, err := client.PurgeQueue(ctx, name, tasks.PurgeOptions{States: tasks.PurgeStates()})
					return err
				}(),
			} {
				require.ErrorIs(t, err, tasks.ErrUnknownQueue, "%s %q", call, name)
			}
		}
		keys, err := b.Redis().Keys(ctx, "*{*").Result()
		require.NoError(t, err)
		require.Empty(t, keys)
	})
}

// TestQueuesWithoutTasksAreKnown: a worker serves one, which can be paused, and it stays known while it is.
func TestQueuesWithoutTasksAreKnown(t *testing.T) {
	onEachBroker(t, func(t *testing.T, b *broker.Broker) {
		client := tasks.NewClient(b)
		names := func() (names []string) {
			page, _, err := client.Queues(t.Context(), "", 10)
			require.NoError(t, err)
			for _, q := range page {
				names = append(names, q.Name)
			}
			return names
		}
		t.Run("while a worker lives", func(t *testing.T) {
			m := mux()
			tasks.Handle(m, sum, func(context.Context, pair) (int, error) { return 0, nil })
			taskstest.Serve(t, b, m, "fresh")
			require.Eventually(t, func() bool { return slices.Equal(names(), []string{"fresh"}) }, patience, time.Millisecond)
			q, err := client.Queue(t.Context(), "fresh")
			require.NoError(t, err)
			require.Equal(t, 1, q.Workers)
			_, _, err = client.PauseQueue(t.Context(), "fresh", "alice")
			require.NoError(t, err)
		})
		require.Equal(t, []string{"fresh"}, names())
		_, err := client.ResumeQueue(t.Context(), "fresh")
		require.NoError(t, err)
		require.Empty(t, names())
	})
}

// TestPausedQueuesRunNothing: what runs ends, what comes and what becomes due waits, other queues go on, and nothing is lost.
func TestPausedQueuesRunNothing(t *testing.T) {
	onEachBroker(t, func(t *testing.T, b *broker.Broker) {
		client, m := tasks.NewClient(b), mux()
		var paused atomic.Bool
		var ran, early atomic.Int32
		tasks.Handle(m, sum, func(ctx context.Context, a pair) (int, error) {
			if paused.Load() && tasks.Current(ctx).Queue == "default" {
				early.Add(1)
			}
			ran.Add(1)
			return a.N, nil
		})
		taskstest.Serve(t, b, m, "default", "other")
		for _, by := range []string{"", "a\nb", strings.Repeat("x", 129), "\u202e"} {
			requireOption(t, "by", func() error { _, _, err := client.PauseQueue(t.Context(), "default", by); return err })
		}
		enqueue := func(n int, opts ...tasks.Option) *tasks.Result[int] {
			res, err := sum.Enqueue(t.Context(), client, pair{N: n}, opts...)
			require.NoError(t, err)
			return res
		}
		const before, after = 300, 20
		var list []*tasks.Result[int]
		for n := range before {
			list = append(list, enqueue(n))
		}
		first, isFirst, err := client.PauseQueue(t.Context(), "default", "alice")
		require.NoError(t, err)
		require.True(t, isFirst)
		require.Equal(t, "alice", first.By)
		again, isFirst, err := client.PauseQueue(t.Context(), "default", "bob")
		require.NoError(t, err)
		require.False(t, isFirst)
		require.Equal(t, first, again)
		for n := range after {
			list = append(list, enqueue(n), enqueue(n, tasks.Countdown(time.Second)))
		}
		require.Eventually(t, func() bool { // what was fetched before is run or put back
			q, err := client.Queue(t.Context(), "default")
			return err == nil && q.Active == 0 && q.Scheduled == 0 && q.Pending+int(ran.Load()) == before+2*after
		}, patience, time.Millisecond)
		paused.Store(true)
		for n := range 20 {
			_, err := enqueue(n, tasks.Queue("other")).Get(testenv.Soon(t))
			require.NoError(t, err)
		}
		require.Zero(t, early.Load())
		paused.Store(false)
		was, err := client.ResumeQueue(t.Context(), "default")
		require.NoError(t, err)
		require.True(t, was)
		for _, res := range list {
			_, err := res.Get(testenv.Soon(t))
			require.NoError(t, err)
		}
		require.EqualValues(t, before+2*after+20, ran.Load())
		was, err = client.ResumeQueue(t.Context(), "default")
		require.NoError(t, err)
		require.False(t, was)
	})
}

func TestPurgeEndsTasks(t *testing.T) {
	onEachBroker(t, func(t *testing.T, b *broker.Broker) {
		history := &notes{}
		client, m := tasks.NewClient(b, tasks.ClientOptions{History: history}), mux()
		var waiting []*tasks.Result[int]
		for n := range 250 {
			res, err := sum.Enqueue(t.Context(), client, pair{N: n}, tasks.Tags("a"))
			require.NoError(t, err)
			waiting = append(waiting, res)
		}
		unique, err := sum.Enqueue(t.Context(), client, pair{N: -1}, tasks.UniqueFor(time.Hour))
		require.NoError(t, err)
		waiting = append(waiting, unique)
		later, err := sum.Enqueue(t.Context(), client, pair{N: -2}, tasks.Countdown(time.Hour))
		require.NoError(t, err)
		told := make(chan error, 1)
		go func() { _, err := unique.Get(testenv.Soon(t)); told <- err }()

		dry, err := client.PurgeQueue(t.Context(), "default", tasks.PurgeOptions{States: []tasks.PurgeState{"pending", "dead"}, DryRun: true})
		require.NoError(t, err)
		require.Equal(t, tasks.Purged{
			Purged: map[tasks.PurgeState]int{"pending": 0, "dead": 0}, Left: map[tasks.PurgeState]int{"pending": 251, "dead": 0},
		}, dry)
		require.True(t, dry.More())
		var steps []int
		done, err := client.PurgeQueue(t.Context(), "default", tasks.PurgeOptions{
			States: []tasks.PurgeState{"pending", "pending"}, Reason: "a mistake",
			Progress: func(p tasks.Purged) error { steps = append(steps, p.Purged["pending"], p.Left["pending"]); return nil },
		})
		require.NoError(t, err)
		require.Equal(t, tasks.Purged{Purged: map[tasks.PurgeState]int{"pending": 251}, Left: map[tasks.PurgeState]int{"pending": 0}}, done)
		require.False(t, done.More())
		require.Equal(t, []int{200, 51, 251, 0}, steps)
		require.ErrorIs(t, <-told, tasks.ErrRevoked)
		for _, res := range waiting {
			require.Equal(t, "a mistake", requireState(t, client, res.ID(), tasks.StateRevoked).Error)
			records := history.of(res.ID())
			last := records[len(records)-1]
			require.Equal(t, []any{tasks.StateRevoked, "a mistake", false}, []any{last.State, last.Error, last.EndedAt.IsZero()})
		}
		requireState(t, client, later.ID(), tasks.StatePending)
		again, err := sum.Enqueue(t.Context(), client, pair{N: -1}, tasks.UniqueFor(time.Hour))
		require.NoError(t, err, "the uniqueness is free")
		left, err := client.RevokeTag(t.Context(), "a")
		require.NoError(t, err)
		require.Zero(t, left)

		tasks.Handle(m, sum, func(_ context.Context, a pair) (int, error) {
			if a.N == 0 {
				return 0, tasks.Permanent(errors.New("no luck"))
			}
			return a.N, nil
		})
		taskstest.Serve(t, b, m, "default")
		failed, err := sum.Enqueue(t.Context(), client, pair{N: 0})
		require.NoError(t, err)
		_, err = failed.Get(testenv.Soon(t))
		require.Error(t, err)
		_, err = again.Get(testenv.Soon(t))
		require.NoError(t, err)
		noted := len(history.of(failed.ID()))
		done, err = client.PurgeQueue(t.Context(), "default", tasks.PurgeOptions{States: []tasks.PurgeState{"dead", "completed", "scheduled", "retry"}})
		require.NoError(t, err)
		require.Equal(t, map[tasks.PurgeState]int{"dead": 1, "completed": 252, "scheduled": 1, "retry": 0}, done.Purged)
		_, err = client.Info(t.Context(), failed.ID())
		require.ErrorIs(t, err, tasks.ErrNotFound)
		require.Len(t, history.of(failed.ID()), noted, "how it ended stays")
		require.Equal(t, "purged", requireState(t, client, later.ID(), tasks.StateRevoked).Error)
	})
}

func TestPurgeRefusesAndEnds(t *testing.T) {
	onEachBroker(t, func(t *testing.T, b *broker.Broker) {
		client := tasks.NewClient(b)
		for n := range 450 {
			_, err := sum.Enqueue(t.Context(), client, pair{N: n})
			require.NoError(t, err)
		}
		purge := func(opt tasks.PurgeOptions) (tasks.Purged, error) {
			return client.PurgeQueue(t.Context(), "default", opt)
		}
		for _, states := range [][]tasks.PurgeState{nil, {}, {"active"}, {"pending", "nonsense"}, {""}, {"archived"}} {
			requireOption(t, "states", func() error { _, err := purge(tasks.PurgeOptions{States: states}); return err })
		}
		pending := []tasks.PurgeState{"pending"}
		requireOption(t, "reason", func() error { _, err := purge(tasks.PurgeOptions{States: pending, Reason: "a\nb"}); return err })
		enough := errors.New("enough")
		p, err := purge(tasks.PurgeOptions{States: pending, Progress: func(tasks.Purged) error { return enough }})
		require.Equal(t, enough, err)
		require.Equal(t, []int{200, 250}, []int{p.Purged["pending"], p.Left["pending"]})
		require.True(t, p.More())
		p, err = purge(tasks.PurgeOptions{States: pending})
		require.NoError(t, err)
		require.Equal(t, 250, p.Purged["pending"])
	})
}

// TestPurgeWhileWorkersRun: each task has run or is revoked, and none both.
func TestPurgeWhileWorkersRun(t *testing.T) {
	onEachBroker(t, func(t *testing.T, b *broker.Broker) {
		history := &notes{}
		client, m := tasks.NewClient(b, tasks.ClientOptions{History: history}), mux()
		var ran atomic.Int32
		tasks.Handle(m, sum, func(_ context.Context, a pair) (int, error) { ran.Add(1); return a.N, nil })
		calls := make([]tasks.Signature, 3000)
		for i := range calls {
			calls[i] = sum.Signature(pair{N: i})
		}
		made := tasks.EnqueueMany(t.Context(), client, calls)
		taskstest.Serve(t, b, m, "default")
		require.Eventually(t, func() bool { return ran.Load() > 0 }, patience, 100*time.Microsecond)
		purged := 0
		for range 2 {
			p, err := client.PurgeQueue(t.Context(), "default", tasks.PurgeOptions{States: []tasks.PurgeState{"pending"}})
			require.NoError(t, err)
			purged += p.Purged["pending"]
		}
		revoked := 0
		for _, one := range made {
			require.NoError(t, one.Err)
			_, err := sum.Result(client, one.ID).Get(testenv.Soon(t))
			if errors.Is(err, tasks.ErrRevoked) {
				revoked++
				continue
			}
			require.NoError(t, err)
		}
		require.Equal(t, purged, revoked)
		require.Positive(t, purged)
		require.EqualValues(t, len(made)-revoked, ran.Load())
	})
}

func TestFullQueuesRefuse(t *testing.T) {
	onEachBroker(t, func(t *testing.T, b *broker.Broker) {
		history := &notes{}
		limits := map[string]int{"default": 3}
		client := tasks.NewClient(b, tasks.ClientOptions{MaxLength: limits, History: history})
		m := tasks.NewMux(tasks.MuxOptions{Logger: testenv.Quiet(), Client: client})
		limits["default"] = 1 // it was copied
		var last *tasks.Result[int]
		for n := range 3 {
			res, err := sum.Enqueue(t.Context(), client, pair{N: n})
			require.NoError(t, err)
			last = res
		}
		_, err := sum.Enqueue(t.Context(), client, pair{N: 4}, tasks.ID("refused"))
		require.ErrorIs(t, err, tasks.ErrQueueFull)
		require.NotErrorIs(t, err, tasks.ErrBroker)
		require.ErrorContains(t, err, "queue default has 3 pending tasks")
		require.True(t, away.Is(err), "a task that calls others is snoozed by it")
		require.Empty(t, history.of("refused"))
		_, err = client.Info(t.Context(), "refused")
		require.ErrorIs(t, err, tasks.ErrNotFound)
		_, err = sum.Enqueue(t.Context(), client, pair{N: 4}, tasks.Queue("other"))
		require.NoError(t, err)
		many := tasks.EnqueueMany(t.Context(), client, []tasks.Signature{sum.Signature(pair{}), sum.Signature(pair{}, tasks.Queue("other"))})
		require.ErrorIs(t, many[0].Err, tasks.ErrQueueFull)
		require.Empty(t, many[0].ID)
		require.NoError(t, many[1].Err)

		// What was accepted goes on: retries, and what a task calls when it has ended.
		full := make(chan struct{})
		var tries atomic.Int32
		tasks.Handle(m, sum, func(ctx context.Context, a pair) (int, error) {
			<-full
			if tries.Add(1) <= 3 {
				return 0, errors.New("once more")
			}
			return a.N, nil
		})
		taskstest.Serve(t, b, m, "default")
		var calls *tasks.Result[int]
		require.Eventually(t, func() bool { // when the worker has taken some
			calls, err = sum.Enqueue(t.Context(), client, pair{N: 5}, tasks.OnSuccess(sum.Signature(pair{N: 6}, tasks.ID("called"))))
			return err == nil
		}, patience, time.Millisecond)
		require.Eventually(t, func() bool {
			_, err := sum.Enqueue(t.Context(), client, pair{N: 7})
			return errors.Is(err, tasks.ErrQueueFull)
		}, patience, time.Millisecond)
		close(full)
		_, err = calls.Get(testenv.Soon(t))
		require.NoError(t, err)
		_, err = last.Get(testenv.Soon(t))
		require.NoError(t, err)
		_, err = sum.Result(client, "called").Get(testenv.Soon(t))
		require.NoError(t, err)
	})
}
