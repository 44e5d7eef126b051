package seckill

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/paidui/paidui/models/shop"
	"github.com/paidui/paidui/tasks"
	"github.com/paidui/paidui/tasks/taskstest"
)

func TestOutcomeByState(t *testing.T) {
	eachStack(t, func(t *testing.T, s *stack) {
		order := &shop.Order{ID: 9, OrderNo: "20260101000000000123456789012", UserID: 1, GoodsID: 2, TaskID: "seckill_x", CreatedAt: time.Now().UTC().Truncate(time.Microsecond)}
		cases := map[tasks.State]Outcome{
			tasks.StatePending:  {Code: CodeQueued},
			tasks.StateStarted:  {Code: CodeQueued},
			tasks.StateProgress: {Code: CodeQueued},
			tasks.StateRetry:    {Code: CodeRetrying},
			tasks.StateFailure:  {Code: CodeRefused, Reason: ReasonFailed},
			tasks.StateRevoked:  {Code: CodeRefused, Reason: ReasonRevoked},
			tasks.StateSuccess:  {Code: CodeOrdered, Order: order},
		}
		for state, want := range cases {
			q := newFakeQueue(s.rdb)
			sales := newSales(s.db, s.sales.ledger, q)
			require.NoError(t, q.enqueue(t.Context(), order.TaskID, OrderArgs{UserID: 1, GoodsID: 2}))
			run := q.begin(order.TaskID).run
			require.NoError(t, q.end(t.Context(), order.TaskID, run, state, successResult(order)))
			got, err := sales.Outcome(t.Context(), order.TaskID)
			require.NoError(t, err, state)
			require.Equal(t, want, got, state)
		}
	})
}

func TestOutcomeOfARefusal(t *testing.T) {
	eachStack(t, func(t *testing.T, s *stack) {
		s.serve(t)
		goodsID := openGoods(t, s.db, 0)
		for goods, reason := range map[int64]string{goodsID: ReasonSoldOut, goodsID + 1: ReasonUnknownGoods} {
			task, err := Order.Enqueue(t.Context(), s.client, OrderArgs{UserID: 1, GoodsID: goods})
			require.NoError(t, err)
			require.Equal(t, Outcome{Code: CodeRefused, Reason: reason}, s.ended(t, task.ID()))
		}
		require.Empty(t, ordersOf(t, s.db, goodsID))
	})
}

func TestOutcomeWithoutTheTask(t *testing.T) {
	eachStack(t, func(t *testing.T, s *stack) {
		goodsID := openGoods(t, s.db, 2)
		reserved, ordered := tasks.NewID(queueName), tasks.NewID(queueName)
		require.NoError(t, s.sales.loader.load(t.Context(), goodsID))
		_, err := s.sales.ledger.admit(t.Context(), 1, goodsID, reserved)
		require.NoError(t, err)
		order, err := s.sales.store.place(t.Context(), 2, goodsID, ordered)
		require.NoError(t, err)

		got, err := s.sales.Outcome(t.Context(), reserved)
		require.NoError(t, err)
		require.Equal(t, Outcome{Code: CodeQueued}, got)
		got, err = s.sales.Outcome(t.Context(), ordered)
		require.NoError(t, err)
		require.Equal(t, Outcome{Code: CodeOrdered, Order: order}, got)
		for _, id := range []string{"", tasks.NewID(queueName), "../etc", "a b", "秒杀", string(make([]byte, 100_000))} {
			_, err := s.sales.Outcome(t.Context(), id)
			require.ErrorIs(t, err, tasks.ErrNotFound, id)
		}
	})
}

// queries counts the database's from now on.
func queries(t *testing.T, db *gorm.DB) *atomic.Int64 {
	var n atomic.Int64
	count := func(*gorm.DB) { n.Add(1) }
	require.NoError(t, db.Callback().Query().Before("gorm:query").Register("count", count))
	require.NoError(t, db.Callback().Row().Before("gorm:row").Register("count", count))
	return &n
}

func TestWhatIsNoTicketCostsNoQuery(t *testing.T) {
	eachStack(t, func(t *testing.T, s *stack) {
		asked := queries(t, s.db)
		for _, id := range []string{
			"", "nobody", "default_01980d5c-7a4e-7bd2-9f0e-6a4c1e0b7a11", "seckill_", "seckill_x",
			"seckill_01980d5c7a4e7bd29f0e6a4c1e0b7a11", "seckill_01980d5c-7a4e-7bd2-9f0e-6a4c1e0b7a1g",
			"seckill_seckill_01980d5c-7a4e-7bd2-9f0e-6a4c1e0b7a11",
		} {
			_, err := s.sales.Outcome(t.Context(), id)
			require.ErrorIs(t, err, tasks.ErrNotFound, id)
		}
		require.Zero(t, asked.Load())
	})
}

func TestUnknownTicketsAreSearchedForAFewAtATime(t *testing.T) {
	t.Parallel()
	s := newStack(t, taskstest.Embedded(t), "sqlite://:memory:")
	var running, most atomic.Int64
	require.NoError(t, s.db.Callback().Query().Before("gorm:query").Register("slow", func(*gorm.DB) {
		n := running.Add(1)
		defer running.Add(-1)
		for old := most.Load(); n > old && !most.CompareAndSwap(old, n); old = most.Load() {
		}
		time.Sleep(5 * time.Millisecond)
	}))
	goodsID := openGoods(t, s.db, 1)
	ticket, err := s.sales.Enter(t.Context(), 1, goodsID)
	require.NoError(t, err)

	var all sync.WaitGroup
	for range 40 {
		all.Go(func() {
			if _, err := s.sales.Outcome(t.Context(), tasks.NewID(queueName)); !errors.Is(err, tasks.ErrNotFound) {
				t.Errorf("unexpected: %v", err)
			}
		})
	}
	all.Wait()
	require.LessOrEqual(t, most.Load(), int64(maxLookups))

	for range maxLookups {
		s.sales.lookups <- struct{}{}
	}
	got, err := s.sales.Outcome(t.Context(), ticket.TaskID)
	require.NoError(t, err, "those who have a ticket do not wait for those who guess")
	require.Equal(t, Outcome{Code: CodeQueued}, got)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	_, err = s.sales.Outcome(ctx, tasks.NewID(queueName))
	require.ErrorIs(t, err, context.DeadlineExceeded)
}

func TestOutcomeOfAnotherKindOfTask(t *testing.T) {
	eachStack(t, func(t *testing.T, s *stack) {
		task, err := Reconcile.Enqueue(t.Context(), s.client, ReconcileArgs{})
		require.NoError(t, err)
		_, err = s.sales.Outcome(t.Context(), task.ID())
		require.ErrorIs(t, err, tasks.ErrNotFound)
	})
}
