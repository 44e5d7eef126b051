package seckill

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
	"gorm.io/gorm"
	"pgregory.net/rapid"

	"github.com/paidui/paidui/models/shop"
	"github.com/paidui/paidui/tasks"
)

// TestSurvivesEveryCrash lets processes take turns, fail and die at every step, while Redis loses everything, tasks
// vanish, leases expire, the operator changes the stock and the database loses an order. At every moment nothing is
// oversold. When the dust has settled and reconcile has run, no reservation dangles and every piece can be sold.
func TestSurvivesEveryCrash(t *testing.T) {
	redisServer := miniredis.RunT(t)
	rdb := redis.NewClient(&redis.Options{Addr: redisServer.Addr(), MaxRetries: -1})
	t.Cleanup(func() { require.NoError(t, rdb.Close()) })
	require.NoError(t, rdb.Ping(t.Context()).Err()) // the handshake is no step
	rdb.AddHook(redisSteps{})
	db := openDB(t, "sqlite://:memory:")
	require.NoError(t, inSteps(db))

	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld(rt, redisServer, rdb, db)
		rt.Repeat(map[string]func(*rapid.T){
			"":            w.check,
			"enter":       w.enter,
			"work":        w.work,
			"reconcile":   w.reconcile,
			"stock":       w.changeStock,
			"step":        w.step,
			"step more":   w.step,
			"step on":     w.step,
			"fault":       w.fault,
			"time":        w.passTime,
			"lease":       w.expireLease,
			"revoke":      w.revoke,
			"vanish":      w.vanish,
			"flush":       w.flush,
			"lose orders": w.loseOrder,
		})
		w.converge(rt)
	})
}

const (
	crowd       = 6 // users who come while things break
	maxAttempts = 2
	maxAlive    = 4 // processes at a time
)

type world struct {
	redis     *miniredis.Miniredis
	rdb       *redis.Client
	db        *gorm.DB
	queue     *fakeQueue
	now       time.Time
	goodsID   int64
	total     int64 // what the operator put on sale
	settleErr bool  // it has changed since Redis was last told
	processes []*process
	serial    int
}

func newWorld(t *rapid.T, server *miniredis.Miniredis, rdb *redis.Client, db *gorm.DB) *world {
	server.FlushAll()
	w := &world{redis: server, rdb: rdb, db: db, queue: newFakeQueue(rdb), now: time.Now()}
	w.redis.SetTime(w.now)
	w.total = rapid.Int64Range(0, 4).Draw(t, "stock")
	g := shop.Goods{
		Name: tasks.NewID("goods"), Stock: w.total,
		StartsAt: w.now.Add(-time.Hour), EndsAt: w.now.Add(10 * time.Hour),
	}
	require.NoError(t, db.Create(&g).Error)
	w.goodsID = g.ID
	return w
}

// sales is one of a process of its own.
func (w *world) sales() *Sales {
	d := newSales(w.db, newLedger(w.rdb), w.queue)
	d.loader.poll = 0
	d.memory.background = func(func()) {} // one that lives for one call remembers nothing
	return d
}

func (w *world) start(t *rapid.T, name string, work func(ctx context.Context)) {
	if len(w.processes) >= maxAlive {
		t.Skip("enough is going on")
	}
	w.serial++
	p := start(fmt.Sprintf("%s %d", name, w.serial), work)
	t.Logf("%s begins, before %s", p.name, p.next)
	w.processes = append(w.processes, p)
}

func (w *world) enter(t *rapid.T) {
	user := rapid.Int64Range(1, crowd).Draw(t, "user")
	sales := w.sales()
	w.start(t, fmt.Sprintf("user %d enters", user), func(ctx context.Context) {
		_, _ = sales.Enter(ctx, user, w.goodsID) // whatever the user is told, the books must be right
	})
}

// work has a worker take one task, or several at a time.
func (w *world) work(t *rapid.T) {
	ready := w.queue.in(tasks.StatePending, tasks.StateRetry)
	if len(ready) == 0 {
		t.Skip("nothing to do")
	}
	var batch []delivery
	for range rapid.IntRange(1, 4).Draw(t, "batch") {
		if len(ready) == 0 {
			break
		}
		i := rapid.IntRange(0, len(ready)-1).Draw(t, "task")
		batch = append(batch, w.queue.begin(ready[i]))
		ready = slices.Delete(ready, i, i+1)
	}
	w.start(t, fmt.Sprintf("worker with %d", len(batch)), func(ctx context.Context) { w.runTasks(ctx, batch...) })
}

// runTasks is what a worker and the framework do with tasks that come at the same time.
func (w *world) runTasks(ctx context.Context, batch ...delivery) {
	worker := newWorker(newLedger(w.rdb), store{w.db})
	orderRequests := make([]*orderRequest, len(batch))
	for i, d := range batch {
		orderRequests[i] = &orderRequest{userID: d.args.UserID, goodsID: d.args.GoodsID, taskID: d.taskID}
	}
	worker.placeBatch(ctx, orderRequests)
	for i, d := range batch {
		result, err := orderRequests[i].result()
		state := tasks.StateSuccess
		if err != nil {
			state = tasks.StateRetry
			if w.queue.failedBefore(d.taskID)+1 >= maxAttempts {
				_ = worker.abandon(ctx, d.taskID, d.args) // the framework only logs it
				state = tasks.StateFailure
			}
		}
		_ = w.queue.end(ctx, d.taskID, d.run, state, result)
	}
}

func (w *world) reconcile(t *rapid.T) {
	w.start(t, "reconcile", func(ctx context.Context) {
		_, _ = w.reconciler().run(ctx)
	})
}

func (w *world) reconciler() *reconciler {
	return &reconciler{ledger: newLedger(w.rdb), store: store{w.db}, queue: w.queue}
}

func (w *world) changeStock(t *rapid.T) {
	by := rapid.Int64Range(-2, 3).Draw(t, "by")
	sales := w.sales()
	var changed bool
	w.start(t, fmt.Sprintf("operator adds %d", by), func(ctx context.Context) {
		// Here the statement is done before the first step, to keep the books: what may be cut off is Invalidate.
		r := w.db.Model(&shop.Goods{}).Where("id = ? AND stock + ? >= 0", w.goodsID, by).
			UpdateColumn("stock", gorm.Expr("stock + ?", by))
		changed = r.Error == nil && r.RowsAffected == 1
		w.settleErr = w.settleErr || changed
		if sales.Invalidate(ctx, w.goodsID) == nil {
			w.settleErr = false
		}
	})
	if changed {
		w.total += by
	}
}

func (w *world) step(t *rapid.T) {
	w.goOn(t, succeeds, rapid.IntRange(1, 12).Draw(t, "steps"))
}

func (w *world) fault(t *rapid.T) {
	w.goOn(t, rapid.SampledFrom([]fate{failsBefore, failsAfter, diesBefore, diesAfter}).Draw(t, "fate"), 1)
}

func (w *world) goOn(t *rapid.T, f fate, steps int) {
	w.sweep()
	if len(w.processes) == 0 {
		t.Skip("nothing is going on")
	}
	p := rapid.SampledFrom(w.processes).Draw(t, "process")
	for range steps {
		before := p.next
		more := p.goOn(f)
		t.Logf("%s: %s, fate %d, then %s", p.name, before, f, p.next)
		if !more {
			return
		}
	}
}

// sweep forgets the processes that have ended.
func (w *world) sweep() {
	w.processes = slices.DeleteFunc(w.processes, func(p *process) bool {
		select {
		case <-p.done:
			return true
		default:
			return false
		}
	})
}

func (w *world) passTime(t *rapid.T) {
	w.pass(rapid.SampledFrom([]time.Duration{loadLease, reservationGrace, recheckAfter}).Draw(t, "time") + time.Millisecond)
}

func (w *world) pass(d time.Duration) {
	w.now = w.now.Add(d)
	w.redis.SetTime(w.now)
	w.redis.FastForward(d)
}

// expireLease makes a task run again whose worker died, or is slow.
func (w *world) expireLease(t *rapid.T) {
	w.change(t, []tasks.State{tasks.StateStarted}, func(id string) { w.queue.set(id, tasks.StatePending) })
}

func (w *world) revoke(t *rapid.T) {
	w.change(t, []tasks.State{tasks.StatePending}, func(id string) { w.queue.set(id, tasks.StateRevoked) })
}

// vanish makes the broker forget a task, as when its retention ends or an operator purges the queue.
func (w *world) vanish(t *rapid.T) {
	states := []tasks.State{tasks.StatePending, tasks.StateSuccess, tasks.StateFailure, tasks.StateRevoked}
	w.change(t, states, func(id string) { w.queue.remove(id) })
}

func (w *world) change(t *rapid.T, states []tasks.State, change func(taskID string)) {
	ids := w.queue.in(states...)
	if len(ids) == 0 {
		t.Skip("no such task")
	}
	change(rapid.SampledFrom(ids).Draw(t, "task"))
}

func (w *world) flush(*rapid.T) {
	w.redis.FlushAll()
	w.queue.clear()
}

func (w *world) loseOrder(t *rapid.T) {
	orders := w.orders(t)
	if len(orders) == 0 {
		t.Skip("no order")
	}
	lost := rapid.SampledFrom(orders).Draw(t, "order")
	require.NoError(t, w.db.Delete(&lost).Error)
	require.NoError(t, w.db.Model(&shop.Goods{}).Where("id = ?", w.goodsID).
		UpdateColumn("stock", gorm.Expr("stock + 1")).Error)
}

func (w *world) orders(t require.TestingT) []shop.Order {
	var orders []shop.Order
	require.NoError(t, w.db.Where("goods_id = ?", w.goodsID).Order("id").Find(&orders).Error)
	return orders
}

func (w *world) stock(t require.TestingT) int64 {
	var g shop.Goods
	require.NoError(t, w.db.First(&g, w.goodsID).Error)
	return g.Stock
}

// check is what holds at every moment.
func (w *world) check(t *rapid.T) {
	w.sweep()
	orders, stock := w.orders(t), w.stock(t)
	require.GreaterOrEqual(t, stock, int64(0), "oversold")
	require.Equal(t, w.total, stock+int64(len(orders)), "stock and orders do not add up")

	total, err := w.rdb.HGet(context.Background(), saleKey(w.goodsID), "total").Int64()
	if err == nil && !w.settleErr {
		require.Equal(t, w.total, total, "Redis has an older total than it was told of")
	}
	admitted, err := w.rdb.HGetAll(context.Background(), admittedKey(w.goodsID)).Result()
	require.NoError(t, err)
	pending, err := w.rdb.HGetAll(context.Background(), pendingKey(w.goodsID)).Result()
	require.NoError(t, err)
	for taskID, value := range pending {
		user, _, err := splitPending(value)
		require.NoError(t, err)
		require.Equal(t, taskID, admitted[strconv.FormatInt(user, 10)], "a reservation is not its user's task")
	}
}

func tasksByUser(orders []shop.Order) map[string]string {
	m := make(map[string]string, len(orders))
	for _, o := range orders {
		m[strconv.FormatInt(o.UserID, 10)] = o.TaskID
	}
	return m
}
