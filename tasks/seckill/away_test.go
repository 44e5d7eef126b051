package seckill

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/deploy/testenv"
	"github.com/paidui/paidui/models/shop"
	"github.com/paidui/paidui/tasks"
	"github.com/paidui/paidui/tasks/taskstest"
)

func TestRedisAwayThenBackEmpty(t *testing.T) {
	t.Parallel()
	server := testenv.Redis(t)
	s := newStack(t, taskstest.Broker(t, server.URL(0)), testenv.MySQL(t))
	goodsID := openGoods(t, s.db, 2)
	taskID := s.reserve(t, 1, goodsID)
	order, err := s.sales.store.place(t.Context(), 1, goodsID, taskID)
	require.NoError(t, err)

	server.Stop()
	_, err = s.sales.Enter(t.Context(), 2, goodsID)
	require.Error(t, err)
	require.Empty(t, ReasonOf(err), "a fault is no answer")
	_, err = s.sales.Outcome(t.Context(), taskID)
	require.Error(t, err)
	require.NotErrorIs(t, err, tasks.ErrNotFound)
	w := newWorker(s.sales.ledger, s.sales.store)
	result, err := w.placeOrder(t.Context(), taskID, OrderArgs{UserID: 1, GoodsID: goodsID})
	require.NoError(t, err, "what the database says does not wait for Redis")
	require.Equal(t, order.OrderNo, result.OrderNo)

	server.Start()
	require.Eventually(t, func() bool { return s.rdb.Ping(t.Context()).Err() == nil }, 20*time.Second, 10*time.Millisecond)
	require.NoError(t, s.rdb.FlushAll(t.Context()).Err())
	_, err = s.sales.Enter(t.Context(), 2, goodsID)
	require.NoError(t, err)
	_, err = s.sales.Enter(t.Context(), 3, goodsID)
	require.ErrorIs(t, err, ErrSoldOut)
	got, err := s.sales.Outcome(t.Context(), taskID)
	require.NoError(t, err)
	require.Equal(t, Outcome{Code: CodeOrdered, Order: order}, got)
}

// A cluster of one node refuses scripts whose keys are in several slots, as a larger one does.
func TestOnACluster(t *testing.T) {
	t.Parallel()
	b := taskstest.Broker(t, testenv.RedisCluster(t))
	s := newStack(t, b, "sqlite://:memory:")
	s.serve(t)
	for range 5 { // goods in several slots
		goodsID := openGoods(t, s.db, 2)
		first, err := s.sales.Enter(t.Context(), 1, goodsID)
		require.NoError(t, err)
		require.Equal(t, CodeOrdered, s.ended(t, first.TaskID).Code)
		lost := s.reserve(t, 2, goodsID)
		_, err = s.sales.Enter(t.Context(), 3, goodsID)
		require.ErrorIs(t, err, ErrSoldOut)
		got, err := s.sales.Outcome(t.Context(), lost)
		require.NoError(t, err)
		require.Equal(t, Outcome{Code: CodeQueued}, got)

		s.overdue(t, goodsID)
		require.Equal(t, 1, s.reconcile(t).Requeued)
		require.Equal(t, CodeOrdered, s.ended(t, lost).Code)
		require.NoError(t, s.db.Where("task_id = ?", lost).Delete(&shop.Order{}).Error)
		require.Equal(t, 1, s.reconcile(t).Pruned)
		require.NoError(t, s.sales.Invalidate(t.Context(), goodsID))
		require.NoError(t, s.sales.loader.load(t.Context(), goodsID))
		s.requireTrue(t, goodsID)
	}
}
