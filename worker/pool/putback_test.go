package pool_test

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/deploy/testenv"
	"github.com/paidui/paidui/tasks"
	"github.com/paidui/paidui/tasks/broker"
	"github.com/paidui/paidui/tasks/broker/fetch"
	"github.com/paidui/paidui/tasks/taskstest"
	"github.com/paidui/paidui/worker/pool"
)

// states keeps what the history is told.
type states struct {
	mu   sync.Mutex
	list []tasks.State
}

func (s *states) Record(r tasks.Record) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.list = append(s.list, r.State)
}

func (s *states) all() []tasks.State {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]tasks.State(nil), s.list...)
}

// A worker drains with a short limit, and the handler ends, well, just after its task was put back.
func TestARunThatOutlivesTheDrainIsInterrupted(t *testing.T) {
	t.Parallel()
	for name, b := range map[string]func() *broker.Broker{
		"redis":    func() *broker.Broker { return taskstest.Broker(t, testenv.RedisURL(t)) },
		"embedded": func() *broker.Broker { return taskstest.Embedded(t) },
	} {
		t.Run(name, func(t *testing.T) {
			b := b()
			client, told := tasks.NewClient(b), &states{}
			begun, finish := make(chan struct{}, 2), make(chan struct{})
			var runs atomic.Int32
			log := &testenv.LogBuffer{}
			m := tasks.NewMux(tasks.MuxOptions{Logger: slog.New(slog.NewTextHandler(log, nil)), Client: client, History: told})
			tasks.Handle(m, countJob, func(_ context.Context, a countArgs) (int, error) {
				begun <- struct{}{}
				if runs.Add(1) == 1 {
					<-finish
				}
				return a.N, nil
			})
			res, err := countJob.Enqueue(t.Context(), client, countArgs{N: 7},
				tasks.OnSuccess(countJob.Signature(countArgs{N: 8}, tasks.ID("after"))))
			require.NoError(t, err)
			first, err := pool.New(b, m, countConfig(1, time.Millisecond))
			require.NoError(t, err)
			stop := run(t, first)
			<-begun
			stop()
			info, err := client.Info(t.Context(), res.ID())
			require.NoError(t, err)
			require.Equal(t, tasks.StatePending, info.State, "it is put back")
			require.Len(t, info.Attempts, 1)
			require.Equal(t, "interrupted", info.Attempts[0].Outcome)
			close(finish)
			require.Eventually(t, func() bool { return strings.Contains(log.String(), "task interrupted") }, time.Minute, time.Millisecond)
			_, err = client.Info(t.Context(), "after")
			require.ErrorIs(t, err, tasks.ErrNotFound, "a run that does not count calls nobody")
			require.Empty(t, told.all(), "nor does the history hear of its success")

			second, err := pool.New(b, m, countConfig(1, 30*time.Second))
			require.NoError(t, err)
			stop = run(t, second)
			value, err := res.Get(t.Context())
			require.NoError(t, err)
			require.Equal(t, 7, value)
			stop()
			info, err = client.Info(t.Context(), res.ID())
			require.NoError(t, err)
			require.Len(t, info.Attempts, 2)
			require.Equal(t, []string{"interrupted", "success"}, []string{info.Attempts[0].Outcome, info.Attempts[1].Outcome})
			require.Equal(t, []int{1, 1}, []int{info.Attempts[0].Number, info.Attempts[1].Number}, "it cost no retry")
			require.Equal(t, fetch.WorkerEnded, info.Attempts[0].Error)
			require.Zero(t, info.Retries)
			require.NotZero(t, info.Attempts[0].StartedAt)
		})
	}
}

// However a run's end and the end of the drain fall together, each run is in the list of attempts, the last as a success.
func TestEveryRunIsInTheAttempts(t *testing.T) {
	t.Parallel()
	const all, drain = 60, 20 * time.Millisecond
	b := taskstest.Broker(t, testenv.RedisURL(t))
	client := tasks.NewClient(b)
	ids := backlog(t, client, all)
	runs := make([]atomic.Int32, all)
	var begun atomic.Int32
	m := tasks.NewMux(tasks.MuxOptions{Logger: testenv.Quiet()})
	draining := make(chan struct{})
	tasks.Handle(m, countJob, func(_ context.Context, a countArgs) (int, error) {
		if runs[a.N].Add(1) == 1 {
			begun.Add(1)
			<-draining
			time.Sleep(time.Duration(a.N) * 2 * drain / all) // from well before to well after the limit
		}
		return a.N, nil
	})
	first, err := pool.New(b, m, countConfig(all, drain))
	require.NoError(t, err)
	stop := run(t, first)
	require.Eventually(t, func() bool { return begun.Load() == all }, time.Minute, time.Millisecond)
	close(draining)
	stop()
	second, err := pool.New(b, m, countConfig(4, time.Minute))
	require.NoError(t, err)
	run(t, second)
	for n, id := range ids {
		value, err := countJob.Result(client, id).Get(t.Context())
		require.NoError(t, err)
		require.Equal(t, n, value)
		info, err := client.Info(t.Context(), id)
		require.NoError(t, err)
		require.Len(t, info.Attempts, int(runs[n].Load()), "%s: %+v", id, info.Attempts)
		for i, a := range info.Attempts {
			want := "success"
			if i < len(info.Attempts)-1 {
				want = "interrupted"
			}
			require.Equal(t, want, a.Outcome)
		}
	}
}
