package seckill

import (
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/paidui/paidui/deploy/testenv"
	"github.com/paidui/paidui/models"
	"github.com/paidui/paidui/models/shop"
	"github.com/paidui/paidui/tasks"
)

func orderRequests(goodsID, firstUser int64, n int) []*orderRequest {
	batch := make([]*orderRequest, n)
	for i := range batch {
		batch[i] = &orderRequest{userID: firstUser + int64(i), goodsID: goodsID, taskID: tasks.NewID(queueName)}
	}
	return batch
}

// requirePlaced demands that the database holds just what the orderRequest was told.
func requirePlaced(t *testing.T, db *gorm.DB, p *orderRequest) {
	t.Helper()
	require.NoError(t, p.err)
	var stored shop.Order
	require.NoError(t, db.Where("task_id = ?", p.taskID).First(&stored).Error)
	require.Equal(t, stored, *p.order)
	require.Equal(t, [2]int64{p.userID, p.goodsID}, [2]int64{stored.UserID, stored.GoodsID})
}

func TestABatchIsPlacedInOneTransaction(t *testing.T) {
	eachStack(t, func(t *testing.T, s *stack) {
		first, second := openGoods(t, s.db, 30), openGoods(t, s.db, 30)
		batch := append(orderRequests(second, 100, 20), orderRequests(first, 1, 20)...)
		var statements []string
		require.NoError(t, s.db.Callback().Raw().After("gorm:raw").Register("note", func(tx *gorm.DB) {
			statements = append(statements, tx.Statement.SQL.String()[:6])
		}))
		s.sales.store.placeAll(t.Context(), batch)
		require.Equal(t, []string{"INSERT", "UPDATE", "UPDATE"}, statements)
		for _, p := range batch {
			requirePlaced(t, s.db, p)
		}
		require.EqualValues(t, 10, stockOf(t, s.db, first))
		require.EqualValues(t, 10, stockOf(t, s.db, second))
	})
}

func TestABadOrderSparesItsNeighbours(t *testing.T) {
	eachStack(t, func(t *testing.T, s *stack) {
		goodsID, empty := openGoods(t, s.db, 100), openGoods(t, s.db, 0)
		earlier, err := s.sales.store.place(t.Context(), 1, goodsID, tasks.NewID(queueName))
		require.NoError(t, err)

		sound := orderRequests(goodsID, 10, 40)
		again := &orderRequest{userID: 1, goodsID: goodsID, taskID: tasks.NewID(queueName)}
		redelivered := &orderRequest{userID: 1, goodsID: goodsID, taskID: earlier.TaskID}
		twice := &orderRequest{userID: 12, goodsID: goodsID, taskID: tasks.NewID(queueName)} // as sound[2]
		unknown := &orderRequest{userID: 2, goodsID: 31337, taskID: tasks.NewID(queueName)}
		late := &orderRequest{userID: 3, goodsID: empty, taskID: tasks.NewID(queueName)}
		stolen := &orderRequest{userID: 4, goodsID: goodsID, taskID: earlier.TaskID}
		batch := append([]*orderRequest{again, unknown, stolen}, sound...)
		batch = append(batch, twice, late, redelivered)
		long := &orderRequest{userID: 5, goodsID: goodsID, taskID: strings.Repeat("x", 200)}
		if s.db.Name() == "mysql" { // SQLite knows no lengths
			batch = append(batch, long)
		}
		s.sales.store.placeAll(t.Context(), batch)

		for _, p := range sound {
			requirePlaced(t, s.db, p)
		}
		for _, p := range []*orderRequest{again, redelivered} {
			require.NoError(t, p.err)
			require.Equal(t, earlier, p.order)
		}
		require.NoError(t, twice.err)
		require.Equal(t, sound[2].order, twice.order)
		require.ErrorIs(t, unknown.err, ErrUnknownGoods)
		require.ErrorIs(t, late.err, ErrSoldOut)
		require.True(t, models.IsDuplicate(stolen.err), stolen.err)
		if s.db.Name() == "mysql" {
			require.True(t, models.IsRowFault(long.err), long.err)
		}
		for _, p := range []*orderRequest{unknown, late, stolen, long} {
			require.Nil(t, p.order)
		}
		require.EqualValues(t, 100-1-40, stockOf(t, s.db, goodsID))
		require.Len(t, ordersOf(t, s.db, goodsID), 1+40)
	})
}

func TestTheFirstComeGetTheLastPieces(t *testing.T) {
	eachStack(t, func(t *testing.T, s *stack) {
		goodsID, other := openGoods(t, s.db, 7), openGoods(t, s.db, 100)
		batch := orderRequests(goodsID, 1, 20)
		for i, p := range batch {
			p.userID = int64(1000 - i) // the last user comes first
		}
		others := orderRequests(other, 1, 20)
		s.sales.store.placeAll(t.Context(), append(others, batch...))
		for i, p := range batch {
			if i < 7 {
				requirePlaced(t, s.db, p)
			} else {
				require.ErrorIs(t, p.err, ErrSoldOut)
			}
		}
		for _, p := range others {
			requirePlaced(t, s.db, p)
		}
		require.Zero(t, stockOf(t, s.db, goodsID))
		require.Len(t, ordersOf(t, s.db, goodsID), 7)
	})
}

// Several workers place batches with overlapping users, of goods of which there are too few, in no order.
func TestBatchesOfSeveralWorkers(t *testing.T) {
	eachStack(t, func(t *testing.T, s *stack) {
		const workers, rounds, users, pieces = 4, 6, 40, 60
		goods := []int64{openGoods(t, s.db, pieces), openGoods(t, s.db, pieces), openGoods(t, s.db, pieces)}
		var all sync.Map // by user and goods: the order that everybody must be told
		var wg sync.WaitGroup
		for w := range workers {
			wg.Go(func() {
				for round := range rounds {
					var batch []*orderRequest
					for i := range users {
						user := int64(1 + (round*7+w*13+i*i)%(2*users))
						batch = append(batch, &orderRequest{userID: user, goodsID: goods[i%len(goods)], taskID: tasks.NewID(queueName)})
					}
					s.sales.store.placeAll(t.Context(), batch)
					for _, p := range batch {
						if p.err == nil {
							told, _ := all.LoadOrStore([2]int64{p.userID, p.goodsID}, p.order.OrderNo)
							if told != p.order.OrderNo {
								t.Errorf("user %d was told of two orders", p.userID)
							}
						} else if !p.refused() {
							t.Error(p.err)
						}
					}
				}
			})
		}
		wg.Wait()
		sold := 0
		for _, id := range goods {
			orders := ordersOf(t, s.db, id)
			sold += len(orders)
			require.EqualValues(t, pieces, stockOf(t, s.db, id)+int64(len(orders)))
			for _, o := range orders {
				told, ok := all.Load([2]int64{o.UserID, o.GoodsID})
				require.True(t, ok, "nobody was told of an order")
				require.Equal(t, o.OrderNo, told)
			}
		}
		told := 0
		all.Range(func(any, any) bool { told++; return true })
		require.Equal(t, told, sold)
	})
}

// A batch that meets a deadlock is run again; here with a transaction that holds what the batch wants and wants what
// the batch holds.
func TestADeadlockIsRunAgain(t *testing.T) {
	t.Parallel()
	db := openDB(t, testenv.MySQL(t))
	goodsID := openGoods(t, db, 10)
	batch := orderRequests(goodsID, 1, 3)
	inserted := make(chan struct{})
	var once sync.Once
	require.NoError(t, db.Callback().Raw().After("gorm:raw").Register("tell", func(tx *gorm.DB) {
		if strings.HasPrefix(tx.Statement.SQL.String(), "INSERT INTO orders (order_no") {
			once.Do(func() { close(inserted) })
		}
	}))
	done := make(chan struct{})
	rival := make(chan error, 1)
	go func() {
		rival <- db.Transaction(func(tx *gorm.DB) error {
			if err := tx.Model(&shop.Goods{}).Where("id = ?", goodsID).UpdateColumn("price", 1).Error; err != nil {
				return err
			}
			go func() {
				defer close(done)
				store{db}.placeAll(t.Context(), batch)
			}()
			<-inserted
			// The rows of the batch are locked; whoever is heavier, in rows changed, survives.
			heavy := orderRequests(goodsID, 100, 50)
			orders, err := newOrders(heavy, time.Now())
			if err != nil {
				return err
			}
			if err := tx.Create(&orders).Error; err != nil {
				return err
			}
			return tx.Create(&shop.Order{OrderNo: "rival", UserID: 2, GoodsID: goodsID, TaskID: "rival", CreatedAt: time.Now()}).Error
		})
	}()
	<-done
	err := <-rival
	for _, p := range batch {
		require.NoError(t, p.err)
		require.NotNil(t, p.order)
	}
	orders := ordersOf(t, db, goodsID)
	if err == nil {
		require.Equal(t, "rival", batch[1].order.TaskID)
		require.EqualValues(t, 8, stockOf(t, db, goodsID))
		require.Len(t, orders, 50+3)
		return
	}
	require.True(t, models.IsConflict(err) || models.IsDuplicate(err), err)
	require.Len(t, orders, 3)
	require.EqualValues(t, 7, stockOf(t, db, goodsID))
}
