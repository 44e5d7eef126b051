package seckill

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/models/shop"
	"github.com/paidui/paidui/tasks"
)

// reserve is an Enter that dies before it enqueues.
func (s *stack) reserve(t *testing.T, userID, goodsID int64) string {
	require.NoError(t, s.sales.loader.load(t.Context(), goodsID))
	taskID := tasks.NewID(queueName)
	a, err := s.sales.ledger.admit(t.Context(), userID, goodsID, taskID)
	require.NoError(t, err)
	require.Equal(t, admission{result: admitNew, taskID: taskID, pending: true}, a)
	return taskID
}

func TestAskingAgainCompletesAReservation(t *testing.T) {
	eachStack(t, func(t *testing.T, s *stack) {
		goodsID := openGoods(t, s.db, 1)
		taskID := s.reserve(t, 1, goodsID)
		s.serve(t)
		ticket, err := s.sales.Enter(t.Context(), 1, goodsID)
		require.NoError(t, err)
		require.Equal(t, taskID, ticket.TaskID)
		require.Equal(t, CodeOrdered, s.ended(t, taskID).Code)
		s.requireTrue(t, goodsID)
	})
}

func TestReconcileCompletesAReservation(t *testing.T) {
	eachStack(t, func(t *testing.T, s *stack) {
		goodsID := openGoods(t, s.db, 1)
		taskID := s.reserve(t, 1, goodsID)
		require.Equal(t, ReconcileResult{Goods: 1}, s.reconcile(t), "it is too early to judge")

		s.overdue(t, goodsID)
		s.serve(t)
		task, err := Reconcile.Enqueue(t.Context(), s.client, ReconcileArgs{})
		require.NoError(t, err)
		sum, err := task.Get(t.Context())
		require.NoError(t, err)
		require.Equal(t, ReconcileResult{Goods: 1, Requeued: 1}, sum)
		require.Equal(t, CodeOrdered, s.ended(t, taskID).Code)
		s.requireTrue(t, goodsID)
	})
}

func TestReconcileSettlesACommittedOrder(t *testing.T) {
	eachStack(t, func(t *testing.T, s *stack) {
		goodsID := openGoods(t, s.db, 1)
		taskID := s.reserve(t, 1, goodsID)
		_, err := s.sales.store.place(t.Context(), 1, goodsID, taskID)
		require.NoError(t, err)
		s.overdue(t, goodsID)
		require.Equal(t, ReconcileResult{Goods: 1, Settled: 1}, s.reconcile(t))
		s.requireTrue(t, goodsID)
	})
}

func TestReconcilePrunesALostOrder(t *testing.T) {
	eachStack(t, func(t *testing.T, s *stack) {
		goodsID := openGoods(t, s.db, 2)
		s.serve(t)
		for user := int64(1); user <= 2; user++ {
			ticket, err := s.sales.Enter(t.Context(), user, goodsID)
			require.NoError(t, err)
			require.Equal(t, CodeOrdered, s.ended(t, ticket.TaskID).Code)
		}
		require.NoError(t, s.db.Where("goods_id = ? AND user_id = 1", goodsID).Delete(&shop.Order{}).Error)
		require.NoError(t, s.db.Model(&shop.Goods{}).Where("id = ?", goodsID).UpdateColumn("stock", 1).Error)
		require.Equal(t, ReconcileResult{Goods: 1, Pruned: 1}, s.reconcile(t))
		s.requireTrue(t, goodsID)
		ticket, err := s.sales.Enter(t.Context(), 3, goodsID)
		require.NoError(t, err)
		require.Equal(t, CodeOrdered, s.ended(t, ticket.TaskID).Code)
	})
}

func TestReconcileFindsMissingBuyers(t *testing.T) {
	eachStack(t, func(t *testing.T, s *stack) {
		goodsID := openGoods(t, s.db, 2)
		require.NoError(t, s.sales.loader.load(t.Context(), goodsID))
		_, err := s.sales.store.place(t.Context(), 1, goodsID, tasks.NewID(queueName))
		require.NoError(t, err)
		require.Equal(t, ReconcileResult{Goods: 1, Dropped: 1}, s.reconcile(t))
		require.NoError(t, s.sales.loader.load(t.Context(), goodsID))
		s.requireTrue(t, goodsID)
	})
}

func TestReconcileForgetsAnOldSale(t *testing.T) {
	eachStack(t, func(t *testing.T, s *stack) {
		goodsID := openGoods(t, s.db, 2)
		taskID := s.reserve(t, 1, goodsID)
		require.NoError(t, s.db.Model(&shop.Goods{}).Where("id = ?", goodsID).
			UpdateColumn("ends_at", time.Now().Add(-forgetAfter-time.Minute)).Error)
		s.reconcile(t)
		_, err := s.sales.Enter(t.Context(), 2, goodsID)
		require.Equal(t, ReasonEnded, ReasonOf(err), "a sale with reservations is not forgotten, and takes nobody in")

		s.serve(t)
		_, err = s.sales.Enter(t.Context(), 1, goodsID)
		require.NoError(t, err)
		require.Equal(t, CodeOrdered, s.ended(t, taskID).Code)
		s.reconcile(t)
		left, err := s.rdb.Keys(t.Context(), "paidui:*").Result()
		require.NoError(t, err)
		for _, key := range left { // the broker notes the lives of a queue's workers, and counts its tasks of the last minute
			require.False(t, strings.Contains(key, "seckill") && !strings.HasSuffix(key, ":lives") && !strings.Contains(key, "}:rate:"), key)
		}
	})
}

func TestFinalFailureGivesBack(t *testing.T) {
	eachStack(t, func(t *testing.T, s *stack) {
		goodsID := openGoods(t, s.db, 1)
		taskID := s.reserve(t, 1, goodsID)
		s.serve(t)
		require.NoError(t, s.db.Migrator().RenameTable("goods", "goods_away"))
		_, err := Order.Enqueue(t.Context(), s.client, OrderArgs{UserID: 1, GoodsID: goodsID}, tasks.ID(taskID), tasks.MaxRetries(0))
		require.NoError(t, err)
		require.Equal(t, Outcome{Code: CodeRefused, Reason: ReasonFailed}, s.ended(t, taskID))
		require.NoError(t, s.db.Migrator().RenameTable("goods_away", "goods"))
		s.requireTrue(t, goodsID)

		second, err := s.sales.Enter(t.Context(), 2, goodsID)
		require.NoError(t, err, "the piece is free again")
		require.Equal(t, CodeOrdered, s.ended(t, second.TaskID).Code)
		_, err = s.sales.Enter(t.Context(), 1, goodsID)
		require.ErrorIs(t, err, ErrSoldOut)
	})
}

func TestFailureAfterTheCommitKeepsTheOrder(t *testing.T) {
	eachStack(t, func(t *testing.T, s *stack) {
		goodsID := openGoods(t, s.db, 1)
		taskID := s.reserve(t, 1, goodsID)
		_, err := s.sales.store.place(t.Context(), 1, goodsID, taskID)
		require.NoError(t, err)
		w := newWorker(s.sales.ledger, s.sales.store)
		require.NoError(t, w.abandon(t.Context(), taskID, OrderArgs{UserID: 1, GoodsID: goodsID}))
		s.requireTrue(t, goodsID)
	})
}

func TestReconcileGivesBackWhatWasRevoked(t *testing.T) {
	eachStack(t, func(t *testing.T, s *stack) {
		goodsID := openGoods(t, s.db, 1)
		taskID := s.reserve(t, 1, goodsID)
		expired := tasks.ExpiresIn(time.Nanosecond)
		_, err := Order.Enqueue(t.Context(), s.client, OrderArgs{UserID: 1, GoodsID: goodsID}, tasks.ID(taskID), expired)
		require.NoError(t, err)
		s.serve(t)
		require.Equal(t, Outcome{Code: CodeRefused, Reason: ReasonRevoked}, s.ended(t, taskID))
		s.overdue(t, goodsID)
		require.Equal(t, ReconcileResult{Goods: 1, Returned: 1}, s.reconcile(t))
		s.requireTrue(t, goodsID)
	})
}

func TestASecondTaskOfTheUserFindsHisOrder(t *testing.T) {
	eachStack(t, func(t *testing.T, s *stack) {
		goodsID := openGoods(t, s.db, 5)
		s.serve(t)
		args := OrderArgs{UserID: 1, GoodsID: goodsID}
		first, err := Order.Enqueue(t.Context(), s.client, args)
		require.NoError(t, err)
		one, err := first.Get(t.Context())
		require.NoError(t, err)
		require.True(t, one.OK)
		second, err := Order.Enqueue(t.Context(), s.client, args)
		require.NoError(t, err)
		two, err := second.Get(t.Context())
		require.NoError(t, err)
		require.Equal(t, one, two)
		require.EqualValues(t, 4, stockOf(t, s.db, goodsID))
	})
}

func TestOrderArgsAreChecked(t *testing.T) {
	for _, bad := range []string{`{}`, `{"user_id":1}`, `{"user_id":0,"goods_id":1}`, `{"user_id":1,"goods_id":-1}`,
		`{"user_id":1,"goods_id":"1"}`, `{"user_id":1,"goods_id":1,"n":1}`, `{"user_id":1,"goods_id":9223372036854775808}`} {
		var wrong *tasks.ArgsError
		require.ErrorAs(t, Order.CheckArgs([]byte(bad)), &wrong, bad)
	}
	require.NoError(t, Order.CheckArgs([]byte(`{"user_id":1,"goods_id":9223372036854775807}`)))
	require.NoError(t, Reconcile.CheckArgs(nil))
}

// With the broker away, the sales says so, and what was admitted is not lost.
func TestDatabaseAwayThenBack(t *testing.T) {
	eachStack(t, func(t *testing.T, s *stack) {
		goodsID := openGoods(t, s.db, 1)
		require.NoError(t, s.db.Migrator().RenameTable("goods", "goods_away"))
		_, err := s.sales.Enter(t.Context(), 1, goodsID)
		require.Error(t, err)
		require.Empty(t, ReasonOf(err))
		require.NoError(t, s.db.Migrator().RenameTable("goods_away", "goods"))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err = s.sales.Enter(ctx, 1, goodsID)
		require.NoError(t, err, "a failed loading leaves nothing that the next must wait for")
	})
}
