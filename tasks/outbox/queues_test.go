package outbox_test

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/deploy/testenv"
	"github.com/paidui/paidui/tasks"
	"github.com/paidui/paidui/tasks/broker"
)

// TestFullQueuesKeepTheirTasksInTheOutbox: they wait there, in the way of nobody, and go when there is room.
func TestFullQueuesKeepTheirTasksInTheOutbox(t *testing.T) {
	eachStore(t, func(t *testing.T, s site) {
		s.client = tasks.NewClient(s.broker, tasks.ClientOptions{MaxLength: map[string]int{"numbers": 2}})
		ob := s.outbox(t)
		run(t, ob)
		var list []*tasks.Result[int]
		for n := range 20 {
			list = append(list, s.enqueue(t, n))
		}
		for n := range 5 {
			list = append(list, s.enqueue(t, 100+n, tasks.Queue("other")))
		}
		pending := func(queue string) int {
			q, err := s.client.Queue(t.Context(), queue)
			if err != nil {
				return 0
			}
			return q.Pending
		}
		require.Eventually(t, func() bool { return pending("other") == 5 }, patience, time.Millisecond)
		require.Equal(t, 2, pending("numbers"))
		require.NoError(t, ob.SendAll(t.Context()))
		require.Equal(t, 2, pending("numbers"))
		requireWaiting(t, s, 18)
		why, err := s.client.Why(t.Context(), list[19].ID())
		require.NoError(t, err)
		require.Len(t, why.Reasons, 3)
		require.Equal(t, []any{tasks.WhyInOutbox, tasks.WhyQueueFull, 2, tasks.WhyNoWorker},
			[]any{why.Reasons[0].Code, why.Reasons[1].Code, why.Reasons[1].Count, why.Reasons[2].Code})
		require.NotNil(t, why.Reasons[0].Since)
		for n := range 5 {
			list = append(list, s.enqueue(t, 200+n, tasks.Queue("other")))
		}
		require.Eventually(t, func() bool { return pending("other") == 10 }, patience, time.Millisecond)

		s.serve(t)
		for _, res := range list[:20] {
			_, err := res.Get(testenv.Soon(t))
			require.NoError(t, err)
		}
	})
}

func requireWaiting(t *testing.T, s site, want int) {
	t.Helper()
	waiting := 0
	for _, row := range s.rows(t) {
		if row.SentAt == nil {
			waiting++
		}
	}
	require.Equal(t, want, waiting)
}

// TestAPurgerThatDiesLeavesNothingToTheOutbox: Redis has ended the tasks of its last batch, and nobody was told. The sweeper
// finds them ended, and does not send them again.
func TestAPurgerThatDiesLeavesNothingToTheOutbox(t *testing.T) {
	eachStore(t, func(t *testing.T, s site) {
		ob := s.outbox(t)
		var list []*tasks.Result[int]
		for n := range 3 {
			list = append(list, s.enqueue(t, n))
		}
		require.NoError(t, ob.SendAll(t.Context()))
		died := errors.New("died")
		err := s.broker.Purge(t.Context(), "numbers", "purged", map[string]bool{"pending": true}, func(string, int, []*broker.StoredTask) error { return died })
		require.ErrorIs(t, err, died)
		require.Len(t, s.rows(t), 3)
		ob.SweepAll()
		require.NoError(t, ob.Sweep(t.Context()))
		require.Empty(t, s.rows(t))
		r := s.serve(t)
		for _, res := range list {
			_, err := res.Get(testenv.Soon(t))
			require.ErrorIs(t, err, tasks.ErrRevoked)
		}
		require.Zero(t, r.numbers())
	})
}

// TestPurgedTasksLeaveTheOutbox: a purge that lives tells the outbox.
func TestPurgedTasksLeaveTheOutbox(t *testing.T) {
	eachStore(t, func(t *testing.T, s site) {
		ob := s.outbox(t)
		s.enqueue(t, 1)
		require.NoError(t, ob.SendAll(t.Context()))
		p, err := s.client.PurgeQueue(t.Context(), "numbers", tasks.PurgeOptions{States: []tasks.PurgeState{"pending"}})
		require.NoError(t, err)
		require.Equal(t, 1, p.Purged["pending"])
		require.Eventually(t, func() bool {
			require.NoError(t, ob.Clean(t.Context()))
			return len(s.rows(t)) == 0
		}, patience, 10*time.Millisecond)
	})
}
