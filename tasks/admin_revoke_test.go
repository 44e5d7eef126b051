package tasks_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/deploy/testenv"
	"github.com/paidui/paidui/tasks"
	"github.com/paidui/paidui/tasks/broker"
	"github.com/paidui/paidui/tasks/taskstest"
)

// notes is a history that a test reads.
type notes struct {
	mu   sync.Mutex
	list []tasks.Record
}

func (n *notes) Record(r tasks.Record) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.list = append(n.list, r)
}

// of are the records of a task.
func (n *notes) of(id string) (list []tasks.Record) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, r := range n.list {
		if r.ID == id {
			list = append(list, r)
		}
	}
	return list
}

func requireState(t *testing.T, client *tasks.Client, id string, want tasks.State) *tasks.Info {
	t.Helper()
	got, err := client.Info(t.Context(), id)
	require.NoError(t, err)
	require.Equal(t, want, got.State)
	return got
}

// requireRefused holds that err is a *StateError about the task.
func requireRefused(t *testing.T, err error, id string, state tasks.State, why error) {
	t.Helper()
	var refused *tasks.StateError
	require.ErrorAs(t, err, &refused)
	require.Equal(t, tasks.StateError{ID: id, State: state, Err: why}, *refused)
	require.ErrorIs(t, err, why)
}

func TestRevokedTasksNeverRun(t *testing.T) {
	onEachBroker(t, func(t *testing.T, b *broker.Broker) {
		history := &notes{}
		client, m := tasks.NewClient(b, tasks.ClientOptions{History: history}), mux()
		var ran sync.Map
		tasks.Handle(m, sum, func(ctx context.Context, _ pair) (int, error) {
			ran.Store(tasks.Current(ctx).ID, true)
			return 0, nil
		})
		waiting, err := sum.Enqueue(t.Context(), client, pair{N: 1}, tasks.Tags("a"))
		require.NoError(t, err)
		later, err := sum.Enqueue(t.Context(), client, pair{N: 2}, tasks.Countdown(time.Second), tasks.ID("chosen"), tasks.Queue("other"))
		require.NoError(t, err)
		brief, err := sum.Enqueue(t.Context(), client, pair{N: 3}, tasks.Retention(0), tasks.History(tasks.HistoryOff))
		require.NoError(t, err)
		unique, err := sum.Enqueue(t.Context(), client, pair{N: 4}, tasks.UniqueFor(time.Hour))
		require.NoError(t, err)
		list := []*tasks.Result[int]{waiting, later, brief, unique}
		for _, res := range list {
			state, err := res.Revoke(t.Context(), tasks.Reason("a mistake"))
			require.NoError(t, err)
			require.Equal(t, tasks.StateRevoked, state)
			got := requireState(t, client, res.ID(), tasks.StateRevoked)
			require.Equal(t, "a mistake", got.Error)
			require.NotNil(t, got.CompletedAt)
			_, err = res.Get(testenv.Soon(t))
			require.ErrorIs(t, err, tasks.ErrRevoked)
			_, err = res.Revoke(t.Context())
			requireRefused(t, err, res.ID(), tasks.StateRevoked, tasks.ErrEnded)
		}
		again, err := sum.Enqueue(t.Context(), client, pair{N: 4}, tasks.UniqueFor(time.Hour))
		require.NoError(t, err, "the uniqueness is free")
		_, err = sum.Enqueue(t.Context(), client, pair{N: 2}, tasks.ID("chosen"), tasks.Queue("other"))
		require.ErrorIs(t, err, tasks.ErrDuplicate, "the id is taken")

		taskstest.Serve(t, b, m, "default", "other")
		_, err = again.Get(testenv.Soon(t))
		require.NoError(t, err)
		last, err := sum.Enqueue(t.Context(), client, pair{N: 5}, tasks.Countdown(2*time.Second), tasks.Queue("other"))
		require.NoError(t, err)
		_, err = last.Get(testenv.Soon(t))
		require.NoError(t, err)
		for _, res := range list {
			_, did := ran.Load(res.ID())
			require.False(t, did, res.ID())
			requireState(t, client, res.ID(), tasks.StateRevoked)
		}
		records := history.of("chosen")
		require.Len(t, records, 2)
		r := records[1]
		require.Equal(t, []any{tasks.StateRevoked, "a mistake", 1, "other", "test.sum", 0},
			[]any{r.State, r.Error, r.Run, r.Queue, r.Task, r.Attempt})
		require.Equal(t, records[0].EnqueuedAt.UnixMilli(), r.EnqueuedAt.UnixMilli())
		require.WithinDuration(t, time.Now(), r.EndedAt, time.Minute)
		require.Equal(t, []string{"a"}, history.of(waiting.ID())[1].Tags)
		require.Empty(t, history.of(brief.ID()))
	})
}

// TestRevokeInSeveralQueues: a caller chose the same id again after a route had sent the task elsewhere.
func TestRevokeInSeveralQueues(t *testing.T) {
	onEachBroker(t, func(t *testing.T, b *broker.Broker) {
		client, m := tasks.NewClient(b), mux()
		begun, finish := make(chan struct{}), make(chan struct{})
		tasks.Handle(m, sum, func(_ context.Context, a pair) (int, error) {
			if a.N == 1 {
				close(begun)
				<-finish
			}
			return a.N, nil
		})
		taskstest.Serve(t, b, m, "served")
		res, err := sum.Enqueue(t.Context(), client, pair{N: 1}, tasks.ID("order-17"), tasks.Queue("served"))
		require.NoError(t, err)
		another := func(n int, queue string) { // as earlier builds took one id in several queues
			payload, err := json.Marshal(pair{N: n})
			require.NoError(t, err)
			receipt := b.Enqueue(t.Context(), &broker.Message{
				Queue: queue, ID: "order-17", Task: sum.Name(), Payload: payload, Timeout: time.Minute, Retention: time.Minute,
			})[0]
			require.NoError(t, receipt.Err)
		}
		<-begun
		another(2, "idle")
		state, err := res.Revoke(t.Context())
		require.NoError(t, err)
		require.Equal(t, tasks.StateStarted, state, "the one that runs tells")
		waiting, err := b.Find(t.Context(), "idle", "order-17")
		require.NoError(t, err)
		require.True(t, strings.HasPrefix(string(waiting.Result), broker.RevokedPrefix))
		close(finish)

		require.Eventually(t, func() bool {
			task, err := b.Find(t.Context(), "served", "order-17")
			return err == nil && task.State == "completed"
		}, 20*time.Second, 10*time.Millisecond)
		another(3, "idle-too")
		state, err = res.Revoke(t.Context())
		require.NoError(t, err)
		require.Equal(t, tasks.StateRevoked, state)
		_, err = res.Revoke(t.Context())
		requireRefused(t, err, "order-17", tasks.StateRevoked, tasks.ErrEnded)
	})
}

func TestRevokeOfWhatHasEnded(t *testing.T) {
	onEachBroker(t, func(t *testing.T, b *broker.Broker) {
		client, m := tasks.NewClient(b), mux()
		tasks.Handle(m, sum, func(_ context.Context, a pair) (int, error) {
			if a.N == 0 {
				return 0, tasks.Permanent(errors.New("no luck"))
			}
			return a.N, nil
		})
		taskstest.Serve(t, b, m, "default")
		for n, state := range []tasks.State{tasks.StateFailure, tasks.StateSuccess} {
			res, err := sum.Enqueue(t.Context(), client, pair{N: n})
			require.NoError(t, err)
			_, err = client.Wait(testenv.Soon(t), res.ID())
			require.NoError(t, err)
			_, err = res.Revoke(t.Context(), tasks.Terminate())
			requireRefused(t, err, res.ID(), state, tasks.ErrEnded)
			requireState(t, client, res.ID(), state)
		}
		for _, id := range []string{"default_0192d9a0-0000-7000-8000-000000000000", "nobody", "with space", ""} {
			_, err := client.Revoke(t.Context(), id)
			require.ErrorIs(t, err, tasks.ErrNotFound, id)
			require.ErrorIs(t, client.Retry(t.Context(), id), tasks.ErrNotFound, id)
			require.ErrorIs(t, client.Forget(t.Context(), id), tasks.ErrNotFound, id)
		}
	})
}

func TestRevokeByTag(t *testing.T) {
	onEachBroker(t, func(t *testing.T, b *broker.Broker) {
		history := &notes{}
		client := tasks.NewClient(b, tasks.ClientOptions{History: history})
		var tagged, others []*tasks.Result[int]
		for n := range 300 {
			opts := []tasks.Option{tasks.Tags("shop-7", "night"), tasks.Queue([]string{"default", "low"}[n%2])}
			list := &tagged
			switch {
			case n%5 == 0:
				opts[0], list = tasks.Tags("shop-70"), &others
			case n%3 == 0:
				opts = append(opts, tasks.Countdown(time.Hour))
			}
			res, err := sum.Enqueue(t.Context(), client, pair{N: n}, opts...)
			require.NoError(t, err)
			*list = append(*list, res)
		}
		got, err := client.RevokeTag(t.Context(), "shop-7", tasks.Reason("closed"))
		require.NoError(t, err)
		require.Equal(t, tasks.RevokedTag{Revoked: len(tagged)}, got)
		for _, res := range tagged {
			require.Equal(t, "closed", requireState(t, client, res.ID(), tasks.StateRevoked).Error)
			require.Equal(t, tasks.StateRevoked, history.of(res.ID())[1].State)
		}
		for _, res := range others {
			requireState(t, client, res.ID(), tasks.StatePending)
		}
		for tag, n := range map[string]int{"shop-7": 0, "night": 0, "nobody": 0, "shop-70": len(others)} {
			got, err = client.RevokeTag(t.Context(), tag)
			require.NoError(t, err)
			require.Equal(t, tasks.RevokedTag{Revoked: n}, got, tag)
		}
	})
}

func TestRevokeRefusesBadInput(t *testing.T) {
	t.Parallel()
	client := tasks.NewClient(taskstest.Embedded(t))
	res, err := sum.Enqueue(t.Context(), client, pair{})
	require.NoError(t, err)
	field := func(err error) string {
		var option *tasks.OptionError
		require.ErrorAs(t, err, &option)
		return option.Field
	}
	for _, reason := range []string{"", strings.Repeat("x", tasks.MaxReason+1), "a\nb", "\xff"} {
		_, err := res.Revoke(t.Context(), tasks.Reason(reason))
		require.Equal(t, "reason", field(err), "%.20q", reason)
		_, err = client.RevokeTag(t.Context(), "a", tasks.Reason(reason))
		require.Equal(t, "reason", field(err), "%.20q", reason)
	}
	for _, tag := range []string{"", "a b", "a,b", "\xff", strings.Repeat("x", 10_000)} {
		_, err := client.RevokeTag(t.Context(), tag)
		require.Equal(t, "tag", field(err), "%.20q", tag)
	}
	requireState(t, client, res.ID(), tasks.StatePending)
}
