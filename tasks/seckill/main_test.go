package seckill

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/paidui/paidui/deploy/testenv"
	"github.com/paidui/paidui/models"
	"github.com/paidui/paidui/models/shop"
	"github.com/paidui/paidui/tasks"
	"github.com/paidui/paidui/tasks/broker"
	"github.com/paidui/paidui/tasks/taskstest"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// stack is one API process and one worker process, on servers of the test's own.
type stack struct {
	db     *gorm.DB
	broker *broker.Broker
	rdb    redis.UniversalClient
	client *tasks.Client
	sales  *Sales
	mux    *tasks.Mux
}

// eachStack runs the test on Redis and MariaDB, and on what is embedded.
func eachStack(t *testing.T, test func(t *testing.T, s *stack)) {
	t.Parallel()
	t.Run("servers", func(t *testing.T) {
		t.Parallel()
		test(t, newStack(t, taskstest.Broker(t, testenv.RedisURL(t)), testenv.MySQL(t)))
	})
	t.Run("embedded", func(t *testing.T) {
		t.Parallel()
		test(t, newStack(t, taskstest.Embedded(t), "sqlite://:memory:"))
	})
}

func newStack(t testing.TB, b *broker.Broker, databaseURL string) *stack {
	s := &stack{db: openDB(t, databaseURL), broker: b, rdb: b.Redis(), client: tasks.NewClient(b)}
	s.sales = NewSales(s.db, s.rdb, s.client)
	s.mux = tasks.NewMux(tasks.MuxOptions{Logger: testenv.Quiet(), StoreAway: models.IsAway})
	Bind(s.mux, s.db, s.rdb, s.client)
	return s
}

func openDB(t testing.TB, url string) *gorm.DB {
	db, err := models.Open(t.Context(), url, models.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, models.Close(db)) })
	require.NoError(t, shop.Migrate(t.Context(), db))
	return db
}

// serve runs the tasks until the test ends.
func (s *stack) serve(t *testing.T) {
	taskstest.Serve(t, s.broker, s.mux, Order.Queue(), Reconcile.Queue())
}

func (s *stack) reconciler() *reconciler {
	return &reconciler{ledger: s.sales.ledger, store: s.sales.store, queue: s.sales.queue}
}

// openGoods puts goods on sale from an hour ago until an hour hence.
func openGoods(t testing.TB, db *gorm.DB, stock int64) int64 {
	return addGoods(t, db, stock, time.Now().Add(-time.Hour), time.Now().Add(time.Hour))
}

func addGoods(t testing.TB, db *gorm.DB, stock int64, starts, ends time.Time) int64 {
	g := shop.Goods{Name: tasks.NewID("goods"), Price: 999900, Stock: stock, StartsAt: starts, EndsAt: ends}
	require.NoError(t, db.Create(&g).Error)
	return g.ID
}

func stockOf(t testing.TB, db *gorm.DB, goodsID int64) int64 {
	var g shop.Goods
	require.NoError(t, db.First(&g, goodsID).Error)
	return g.Stock
}

func ordersOf(t *testing.T, db *gorm.DB, goodsID int64) []shop.Order {
	var orders []shop.Order
	require.NoError(t, db.Where("goods_id = ?", goodsID).Order("id").Find(&orders).Error)
	return orders
}

// ended waits until the task has, and returns what became of it.
func (s *stack) ended(t *testing.T, taskID string) Outcome {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	_, err := s.client.Wait(ctx, taskID)
	require.NoError(t, err)
	o, err := s.sales.Outcome(ctx, taskID)
	require.NoError(t, err)
	return o
}

// overdue makes every reservation due for reconcile.
func (s *stack) overdue(t *testing.T, goodsID int64) {
	fields, err := s.rdb.HGetAll(t.Context(), pendingKey(goodsID)).Result()
	require.NoError(t, err)
	for task := range fields {
		user, _, err := splitPending(fields[task])
		require.NoError(t, err)
		r := reservation{userID: user, taskID: task}
		require.NoError(t, s.sales.ledger.postpone(t.Context(), goodsID, []reservation{r}, time.Now().Add(-time.Second)))
	}
}

func (s *stack) reconcile(t *testing.T) ReconcileResult {
	sum, err := s.reconciler().run(t.Context())
	require.NoError(t, err)
	return sum
}

// requireTrue demands that Redis knows of the users with orders, and of nobody else.
func (s *stack) requireTrue(t *testing.T, goodsID int64) {
	admitted, err := s.rdb.HGetAll(t.Context(), admittedKey(goodsID)).Result()
	require.NoError(t, err)
	require.Equal(t, tasksByUser(ordersOf(t, s.db, goodsID)), admitted)
	pending, err := s.rdb.Exists(t.Context(), pendingKey(goodsID)).Result()
	require.NoError(t, err)
	require.Zero(t, pending)
}

var errElsewhere = errors.New("a fault elsewhere")
