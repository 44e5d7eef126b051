package seckill

import (
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/models/shop"
	"github.com/paidui/paidui/tasks"
)

func (s *stack) taskOf(t *testing.T, userID, goodsID int64) string {
	id, err := s.rdb.HGet(t.Context(), admittedKey(goodsID), strconv.FormatInt(userID, 10)).Result()
	require.NoError(t, err)
	return id
}

func (s *stack) pendingTasks(t *testing.T, goodsID int64) []string {
	ids, err := s.rdb.HKeys(t.Context(), pendingKey(goodsID)).Result()
	require.NoError(t, err)
	return ids
}

func TestGivingBackTwiceSparesTheNextReservation(t *testing.T) {
	eachStack(t, func(t *testing.T, s *stack) {
		goodsID := openGoods(t, s.db, 1)
		first := s.reserve(t, 1, goodsID)
		given, err := s.sales.ledger.giveBack(t.Context(), goodsID, false, reservation{1, first})
		require.NoError(t, err)
		require.Equal(t, 1, given)
		second := s.reserve(t, 1, goodsID)

		given, err = s.sales.ledger.giveBack(t.Context(), goodsID, false, reservation{1, first})
		require.NoError(t, err)
		require.Zero(t, given)
		require.Equal(t, second, s.taskOf(t, 1, goodsID))
		require.Equal(t, []string{second}, s.pendingTasks(t, goodsID))
	})
}

func TestSettlingALateOrderEndsTheNextReservation(t *testing.T) {
	eachStack(t, func(t *testing.T, s *stack) {
		goodsID := openGoods(t, s.db, 1)
		first := s.reserve(t, 1, goodsID)
		_, err := s.sales.ledger.giveBack(t.Context(), goodsID, false, reservation{1, first})
		require.NoError(t, err)
		second := s.reserve(t, 1, goodsID)

		result, err := newWorker(s.sales.ledger, s.sales.store).placeOrder(t.Context(), first, OrderArgs{UserID: 1, GoodsID: goodsID})
		require.NoError(t, err)
		require.True(t, result.OK)
		s.requireTrue(t, goodsID)
		again, err := newWorker(s.sales.ledger, s.sales.store).placeOrder(t.Context(), second, OrderArgs{UserID: 1, GoodsID: goodsID})
		require.NoError(t, err)
		require.Equal(t, result, again)
		s.requireTrue(t, goodsID)
	})
}

func TestSettlingCountsWhoWasNotAdmitted(t *testing.T) {
	eachStack(t, func(t *testing.T, s *stack) {
		goodsID := openGoods(t, s.db, 2)
		take := func(userID int64) {
			w := newWorker(s.sales.ledger, s.sales.store)
			_, err := w.placeOrder(t.Context(), tasks.NewID(queueName), OrderArgs{UserID: userID, GoodsID: goodsID})
			require.NoError(t, err)
		}
		take(1)
		left, err := s.rdb.Keys(t.Context(), "paidui:{seckill:*").Result()
		require.NoError(t, err)
		require.Empty(t, left, "a sale that nobody loaded leaves nothing behind")

		_, err = s.sales.ledger.acquire(t.Context(), goodsID, "a loader that has read the orders already", false)
		require.NoError(t, err)
		take(2)
		require.Equal(t, ordersOf(t, s.db, goodsID)[1].TaskID, s.taskOf(t, 2, goodsID))
	})
}

func TestLoadingSparesReservations(t *testing.T) {
	eachStack(t, func(t *testing.T, s *stack) {
		goodsID := openGoods(t, s.db, 2)
		older := tasks.NewID(queueName)
		_, err := s.sales.store.place(t.Context(), 1, goodsID, older)
		require.NoError(t, err)
		require.NoError(t, s.sales.loader.load(t.Context(), goodsID))
		given, err := s.sales.ledger.giveBack(t.Context(), goodsID, false, reservation{1, older})
		require.NoError(t, err)
		require.Equal(t, 1, given)
		newer := s.reserve(t, 1, goodsID)

		require.NoError(t, s.sales.Invalidate(t.Context(), goodsID))
		require.NoError(t, s.sales.loader.load(t.Context(), goodsID))
		require.Equal(t, newer, s.taskOf(t, 1, goodsID))
		require.Equal(t, []string{newer}, s.pendingTasks(t, goodsID))
	})
}

func TestLoadingManyOrders(t *testing.T) {
	eachStack(t, func(t *testing.T, s *stack) {
		const sold = 2*pageSize + 1
		goodsID := openGoods(t, s.db, 1)
		orders := make([]shop.Order, sold)
		for i := range orders {
			id := tasks.NewID(queueName)
			orders[i] = shop.Order{OrderNo: strconv.Itoa(i), UserID: int64(i + 1), GoodsID: goodsID, TaskID: id, CreatedAt: time.Now()}
		}
		require.NoError(t, s.db.CreateInBatches(orders, pageSize).Error)
		ticket, err := s.sales.Enter(t.Context(), sold+1, goodsID)
		require.NoError(t, err)
		_, err = s.sales.Enter(t.Context(), sold+2, goodsID)
		require.ErrorIs(t, err, ErrSoldOut)
		n, err := s.rdb.HLen(t.Context(), admittedKey(goodsID)).Result()
		require.NoError(t, err)
		require.EqualValues(t, sold+1, n)
		require.NotEmpty(t, ticket.TaskID)
	})
}

func TestAnInvalidatedLoadingPublishesNothing(t *testing.T) {
	eachStack(t, func(t *testing.T, s *stack) {
		goodsID := openGoods(t, s.db, 3)
		whose, err := s.sales.ledger.acquire(t.Context(), goodsID, "slow", false)
		require.NoError(t, err)
		require.Equal(t, loadMine, whose)
		read, err := s.sales.store.sale(t.Context(), goodsID)
		require.NoError(t, err)
		require.NoError(t, s.sales.Invalidate(t.Context(), goodsID))

		extended, err := s.sales.ledger.extend(t.Context(), goodsID, "slow")
		require.NoError(t, err)
		require.False(t, extended)
		filled, err := s.sales.ledger.fill(t.Context(), goodsID, "slow", read)
		require.NoError(t, err)
		require.False(t, filled)
		n, err := s.sales.ledger.count(t.Context(), goodsID)
		require.NoError(t, err)
		require.False(t, n.loaded)
	})
}

func TestADeadLoaderIsReplaced(t *testing.T) {
	eachStack(t, func(t *testing.T, s *stack) {
		goodsID := openGoods(t, s.db, 3)
		_, err := s.sales.ledger.acquire(t.Context(), goodsID, "dead", false)
		require.NoError(t, err)
		require.NoError(t, s.rdb.PExpire(t.Context(), loadKey(goodsID), 100*time.Millisecond).Err())
		_, err = s.sales.Enter(t.Context(), 1, goodsID)
		require.NoError(t, err)
	})
}

func TestEnterOutlivesALoaderThatDied(t *testing.T) {
	eachStack(t, func(t *testing.T, s *stack) {
		goodsID := openGoods(t, s.db, 1)
		whose, err := s.sales.ledger.acquire(t.Context(), goodsID, "a loader that is killed now", false)
		require.NoError(t, err)
		require.Equal(t, loadMine, whose)
		_, err = s.sales.Enter(t.Context(), 1, goodsID)
		require.NoError(t, err)
	})
}

func TestEnterDoesNotWaitForeverForALoading(t *testing.T) {
	eachStack(t, func(t *testing.T, s *stack) {
		goodsID := openGoods(t, s.db, 1)
		require.NoError(t, s.rdb.Set(t.Context(), loadKey(goodsID), "a slow loader", time.Minute).Err())
		_, err := s.sales.Enter(t.Context(), 1, goodsID)
		require.ErrorIs(t, err, ErrLoading)
		require.Empty(t, ReasonOf(err), "it may succeed later")
	})
}

func TestKeysExpireWithTheSale(t *testing.T) {
	eachStack(t, func(t *testing.T, s *stack) {
		now := time.Now()
		goods := map[int64]time.Duration{
			openGoods(t, s.db, 1): time.Hour + saleKeep,
			addGoods(t, s.db, 1, now.Add(-72*time.Hour), now.Add(-70*time.Hour)): saleLeast,
		}
		for id, want := range goods {
			require.NoError(t, s.sales.loader.load(t.Context(), id))
			ttl, err := s.rdb.PTTL(t.Context(), saleKey(id)).Result()
			require.NoError(t, err)
			require.InDelta(t, want.Seconds(), ttl.Seconds(), 5)
		}
		live, err := s.sales.ledger.live(t.Context())
		require.NoError(t, err)
		require.Len(t, live, 2)
	})
}

// TestUnknownGoodsLeaveNothingInRedis: their ids can be made up without end.
func TestUnknownGoodsLeaveNothingInRedis(t *testing.T) {
	eachStack(t, func(t *testing.T, s *stack) {
		for id := int64(31337); id < 31347; id++ {
			_, err := s.sales.Enter(t.Context(), 1, id)
			require.ErrorIs(t, err, ErrUnknownGoods)
		}
		left, err := s.rdb.Keys(t.Context(), "*seckill*").Result()
		require.NoError(t, err)
		require.Empty(t, left)
	})
}

// TestGoodsMadeWhileTheyAreLookedFor: whoever looked before they were there looks again.
func TestGoodsMadeWhileTheyAreLookedFor(t *testing.T) {
	eachStack(t, func(t *testing.T, s *stack) {
		const token = "slow"
		whose, err := s.sales.ledger.acquire(t.Context(), 31337, token, false)
		require.NoError(t, err)
		require.Equal(t, loadMine, whose)
		require.NoError(t, s.sales.Invalidate(t.Context(), 31337))
		require.NoError(t, s.sales.loader.unknown(t.Context(), 31337, token))
	})
}

func TestAGoodsThatIsLoadedAgainStaysLive(t *testing.T) {
	eachStack(t, func(t *testing.T, s *stack) {
		goodsID := openGoods(t, s.db, 1)
		l := s.sales.ledger
		require.NoError(t, l.markLive(t.Context(), goodsID))
		seen, err := l.live(t.Context())
		require.NoError(t, err)
		require.Len(t, seen, 1)
		_, err = l.acquire(t.Context(), goodsID, "reconcile", true)
		require.NoError(t, err)
		time.Sleep(time.Microsecond)
		require.NoError(t, l.markLive(t.Context(), goodsID))
		_, err = l.forget(t.Context(), seen[0], "reconcile")
		require.NoError(t, err)
		now, err := l.live(t.Context())
		require.NoError(t, err)
		require.Len(t, now, 1)

		_, err = l.acquire(t.Context(), goodsID, "reconcile", true)
		require.NoError(t, err)
		_, err = l.forget(t.Context(), now[0], "reconcile")
		require.NoError(t, err)
		now, err = l.live(t.Context())
		require.NoError(t, err)
		require.Empty(t, now)
	})
}

func TestParseAdmissionRefusesNonsense(t *testing.T) {
	for _, reply := range [][]any{nil, {}, {int64(1)}, {"what"}, {"new"}, {"new", "id", "1"}, {"again", "", int64(1)},
		{"ended", "1"}, {"ended", "x", "2"}, {"not_started", "1", int64(2)}} {
		_, err := parseAdmission(reply)
		require.Error(t, err, reply)
	}
}
