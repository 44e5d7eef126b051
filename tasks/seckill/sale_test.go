package seckill

import (
	"errors"
	"math"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"
	"gorm.io/gorm"

	"github.com/paidui/paidui/models/shop"
	"github.com/paidui/paidui/tasks"
)

func TestFiftyPiecesAmongTwoHundredUsers(t *testing.T) {
	eachStack(t, func(t *testing.T, s *stack) {
		const users, pieces = 200, 50
		goodsID := openGoods(t, s.db, pieces)
		s.serve(t)

		var mu sync.Mutex
		tickets := make(map[int64]string)
		var soldOut atomic.Int64
		var group errgroup.Group
		for user := int64(1); user <= users; user++ {
			group.Go(func() error {
				ticket, err := s.sales.Enter(t.Context(), user, goodsID)
				if errors.Is(err, ErrSoldOut) {
					soldOut.Add(1)
					return nil
				}
				mu.Lock()
				defer mu.Unlock()
				tickets[user] = ticket.TaskID
				return err
			})
		}
		require.NoError(t, group.Wait())
		require.Len(t, tickets, pieces)
		require.EqualValues(t, users-pieces, soldOut.Load())

		for user, taskID := range tickets {
			o := s.ended(t, taskID)
			require.Equal(t, CodeOrdered, o.Code)
			require.Equal(t, user, o.Order.UserID)
			require.Equal(t, goodsID, o.Order.GoodsID)
			require.Equal(t, taskID, o.Order.TaskID)
		}
		require.Len(t, ordersOf(t, s.db, goodsID), pieces)
		require.Zero(t, stockOf(t, s.db, goodsID))
		s.requireTrue(t, goodsID)
	})
}

func TestOneUserTwentyTimes(t *testing.T) {
	eachStack(t, func(t *testing.T, s *stack) {
		goodsID := openGoods(t, s.db, 50)
		s.serve(t)

		taskIDs := make([]string, 20)
		var group errgroup.Group
		for i := range taskIDs {
			group.Go(func() error {
				ticket, err := s.sales.Enter(t.Context(), 7, goodsID)
				taskIDs[i] = ticket.TaskID
				return err
			})
		}
		require.NoError(t, group.Wait())
		for _, id := range taskIDs {
			require.Equal(t, taskIDs[0], id)
		}
		require.Equal(t, CodeOrdered, s.ended(t, taskIDs[0]).Code)
		require.Len(t, ordersOf(t, s.db, goodsID), 1)
		require.EqualValues(t, 49, stockOf(t, s.db, goodsID))

		again, err := s.sales.Enter(t.Context(), 7, goodsID)
		require.NoError(t, err)
		require.Equal(t, taskIDs[0], again.TaskID, "the ticket outlives the order")
	})
}

func TestWhoIsNotLetIn(t *testing.T) {
	eachStack(t, func(t *testing.T, s *stack) {
		now := time.Now()
		future := addGoods(t, s.db, 5, now.Add(time.Hour), now.Add(2*time.Hour))
		past := addGoods(t, s.db, 5, now.Add(-2*time.Hour), now.Add(-time.Hour))
		longPast := addGoods(t, s.db, 5, now.Add(-48*time.Hour), now.Add(-47*time.Hour))
		empty := openGoods(t, s.db, 0)
		cases := map[string]struct {
			user, goods int64
			reason      string
		}{
			"not started": {1, future, ReasonNotStarted},
			"ended":       {1, past, ReasonEnded},
			"long ended":  {1, longPast, ReasonEnded},
			"no stock":    {1, empty, ReasonSoldOut},
			"unknown":     {1, 987654, ReasonUnknownGoods},
			"zero":        {1, 0, ReasonUnknownGoods},
			"negative":    {1, -1, ReasonUnknownGoods},
			"lowest":      {1, math.MinInt64, ReasonUnknownGoods},
			"huge":        {1, math.MaxInt64, ReasonUnknownGoods},
			"no user":     {0, empty, ""},
			"minus user":  {-5, empty, ""},
		}
		for name, c := range cases {
			for range 2 { // the second answer comes without the database
				_, err := s.sales.Enter(t.Context(), c.user, c.goods)
				require.Error(t, err, name)
				require.Equal(t, c.reason, ReasonOf(err), name)
			}
		}

		var notOpen *NotOpenError
		_, err := s.sales.Enter(t.Context(), 1, future)
		require.ErrorAs(t, err, &notOpen)
		require.WithinDuration(t, now.Add(time.Hour), notOpen.StartsAt, time.Millisecond)
		require.WithinDuration(t, now.Add(2*time.Hour), notOpen.EndsAt, time.Millisecond)

		var tasksMade int64
		require.NoError(t, s.db.Model(&shop.Order{}).Count(&tasksMade).Error)
		require.Zero(t, tasksMade)
	})
}

func TestThoseWhoAskForUnknownGoodsShareReads(t *testing.T) {
	eachStack(t, func(t *testing.T, s *stack) {
		var reads atomic.Int64
		require.NoError(t, s.db.Callback().Row().Before("gorm:row").Register("count", func(*gorm.DB) { reads.Add(1) }))
		require.Eventually(t, func() bool { // nothing is kept of them, so who comes when a read has ended reads again
			reads.Store(0)
			var group errgroup.Group
			for user := int64(1); user <= 50; user++ {
				group.Go(func() error {
					if _, err := s.sales.Enter(t.Context(), user, 4711); !errors.Is(err, ErrUnknownGoods) {
						return errors.Join(errElsewhere, err)
					}
					return nil
				})
			}
			require.NoError(t, group.Wait())
			return reads.Load() <= 10
		}, time.Minute, time.Millisecond)

		// Goods that appear are on sale once the sales has been told.
		now := time.Now()
		g := shop.Goods{ID: 4711, Name: "late", Stock: 1, StartsAt: now.Add(-time.Minute), EndsAt: now.Add(time.Minute)}
		require.NoError(t, s.db.Create(&g).Error)
		require.NoError(t, s.sales.Invalidate(t.Context(), g.ID))
		_, err := s.sales.Enter(t.Context(), 1, g.ID)
		require.NoError(t, err)
	})
}

func TestGoodsByName(t *testing.T) {
	eachStack(t, func(t *testing.T, s *stack) {
		g := shop.Goods{Name: "手机 Pro", Stock: 1, StartsAt: time.Now(), EndsAt: time.Now()}
		require.NoError(t, s.db.Create(&g).Error)
		id, err := s.sales.GoodsByName(t.Context(), "手机 Pro")
		require.NoError(t, err)
		require.Equal(t, g.ID, id)
		for _, name := range []string{"", "手机", "\xff\xfe", "' OR 1=1 --"} {
			_, err := s.sales.GoodsByName(t.Context(), name)
			require.ErrorIs(t, err, ErrUnknownGoods, name)
		}
	})
}

func TestOperatorChangesTheStockDuringTheSale(t *testing.T) {
	eachStack(t, func(t *testing.T, s *stack) {
		const pieces, more, less = 20, 15, 5
		goodsID := openGoods(t, s.db, pieces)
		s.serve(t)
		var user atomic.Int64
		sellOut := func() (in int) {
			for {
				_, err := s.sales.Enter(t.Context(), user.Add(1), goodsID)
				if errors.Is(err, ErrSoldOut) {
					return in
				}
				require.NoError(t, err)
				in++
			}
		}
		change := func(by int64) {
			require.NoError(t, s.db.Model(&shop.Goods{}).Where("id = ?", goodsID).
				UpdateColumn("stock", gorm.Expr("stock + ?", by)).Error)
		}
		settled := func() bool {
			n, err := s.rdb.HLen(t.Context(), pendingKey(goodsID)).Result()
			return err == nil && n == 0
		}

		require.Equal(t, pieces, sellOut())
		change(more)
		require.NoError(t, s.sales.Invalidate(t.Context(), goodsID))
		require.Equal(t, more, sellOut(), "workers may still be busy with the first ones")
		require.Eventually(t, settled, 20*time.Second, 5*time.Millisecond)
		require.Len(t, ordersOf(t, s.db, goodsID), pieces+more)

		// The operator's process dies before it tells the sales: reconcile does.
		change(more)
		require.Zero(t, sellOut())
		s.reconcile(t)
		in := 0
		require.Eventually(t, func() bool {
			in += sellOut()
			return in == more
		}, 20*time.Second, 5*time.Millisecond, "the sales may have known that it was sold out")
		require.Eventually(t, settled, 20*time.Second, 5*time.Millisecond)

		// Less than Redis believes: the database refuses, the reservations are given back, and nobody else is let in.
		change(more)
		require.NoError(t, s.sales.Invalidate(t.Context(), goodsID))
		first, err := s.sales.Enter(t.Context(), user.Add(1), goodsID) // loads the sale
		require.NoError(t, err)
		require.Equal(t, CodeOrdered, s.ended(t, first.TaskID).Code)
		change(-less)
		in = sellOut()
		require.GreaterOrEqual(t, in, more-1-less)
		require.LessOrEqual(t, in, more-1+less)
		require.Eventually(t, settled, 20*time.Second, 5*time.Millisecond)
		require.Zero(t, stockOf(t, s.db, goodsID))
		require.Len(t, ordersOf(t, s.db, goodsID), pieces+3*more-less)
		require.Zero(t, sellOut())
		s.requireTrue(t, goodsID)
	})
}

func TestSaleOpensAndCloses(t *testing.T) {
	eachStack(t, func(t *testing.T, s *stack) {
		starts := time.Now().Add(2 * time.Second)
		goodsID := addGoods(t, s.db, 1_000_000, starts, starts.Add(4*time.Second))
		user := int64(0)
		enter := func() error {
			user++
			_, err := s.sales.Enter(t.Context(), user, goodsID)
			return err
		}
		require.Equal(t, ReasonNotStarted, ReasonOf(enter()))
		require.Eventually(t, func() bool { return enter() == nil }, 20*time.Second, time.Millisecond)
		require.False(t, time.Now().Before(starts.Truncate(time.Millisecond)))
		in := user
		require.Eventually(t, func() bool { return ReasonOf(enter()) == ReasonEnded }, 20*time.Second, 50*time.Millisecond)

		// Who came in time keeps his place.
		_, err := s.sales.Enter(t.Context(), in, goodsID)
		require.NoError(t, err)
	})
}

func TestRedisForgetsASaleInTheMiddle(t *testing.T) {
	eachStack(t, func(t *testing.T, s *stack) {
		const pieces = 30
		goodsID := openGoods(t, s.db, pieces)
		for user := int64(1); user <= 10; user++ {
			_, err := s.sales.store.place(t.Context(), user, goodsID, tasks.NewID(queueName))
			require.NoError(t, err)
		}
		require.NoError(t, s.rdb.FlushDB(t.Context()).Err())
		bought := tasksByUser(ordersOf(t, s.db, goodsID))

		var group errgroup.Group
		var in atomic.Int64
		for user := int64(1); user <= 60; user++ {
			group.Go(func() error {
				_, err := s.sales.Enter(t.Context(), user, goodsID)
				if err == nil {
					in.Add(1)
				}
				if errors.Is(err, ErrSoldOut) {
					return nil
				}
				return err
			})
		}
		require.NoError(t, group.Wait())
		require.GreaterOrEqual(t, in.Load(), int64(pieces-10))
		admitted, err := s.rdb.HGetAll(t.Context(), admittedKey(goodsID)).Result()
		require.NoError(t, err)
		require.Len(t, admitted, pieces)
		require.Subset(t, admitted, bought)
	})
}
