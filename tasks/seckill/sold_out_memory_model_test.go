package seckill

import (
	"context"
	"maps"
	"net"
	"slices"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
	"gorm.io/gorm"
	"pgregory.net/rapid"

	"github.com/paidui/paidui/models/shop"
)

// TestMemoryBelievesRedis has one sales that remembers, while others let users in and out, the operator changes the
// stock, orders are placed, reconcile runs, Redis loses everything and the sale ends; also between any two commands of
// the sales. Whenever a check has been made, who is refused from memory is one whom Redis would refuse.
func TestMemoryBelievesRedis(t *testing.T) {
	server := miniredis.RunT(t)
	open := func() *redis.Client {
		rdb := redis.NewClient(&redis.Options{Addr: server.Addr(), MaxRetries: -1})
		t.Cleanup(func() { require.NoError(t, rdb.Close()) })
		require.NoError(t, rdb.Ping(t.Context()).Err())
		return rdb
	}
	others, own := open(), open()
	disturbed := &disturbance{}
	own.AddHook(disturbed)
	db := openDB(t, "sqlite://:memory:")

	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld(rt, server, others, db)
		m := newMemory(newLedger(own))
		inTurn(m)
		busy := func() {
			switch rapid.IntRange(0, 9).Draw(rt, "change") {
			case 0, 1, 2:
				_, _ = w.sales().Enter(rt.Context(), rapid.Int64Range(1, crowd).Draw(rt, "user"), w.goodsID)
			case 3: // somebody leaves, and another comes
				w.leave(rt)
				_, _ = w.sales().Enter(rt.Context(), rapid.Int64Range(1, crowd).Draw(rt, "user"), w.goodsID)
			case 4:
				w.workOff(rt)
			case 5:
				w.restock(rt, rapid.Bool().Draw(rt, "told"))
			case 6:
				w.pass(recheckAfter + reservationGrace)
				_, err := w.reconciler().run(rt.Context())
				require.NoError(rt, err)
			case 7:
				w.flush(rt)
			case 8:
				w.pass(rapid.SampledFrom([]time.Duration{time.Second, 5 * time.Hour}).Draw(rt, "time"))
			case 9: // as well, once reconcile has found that buyers have no order
				w.workOff(rt)
				w.loseOrders(rt)
				_, err := w.reconciler().run(rt.Context())
				require.NoError(rt, err)
				_, _ = w.sales().Enter(rt.Context(), rapid.Int64Range(1, crowd).Draw(rt, "user"), w.goodsID)
			}
		}
		disturbed.next = func() {
			if rapid.IntRange(0, 9).Draw(rt, "disturb") == 0 {
				busy()
			}
		}
		rt.Repeat(map[string]func(*rapid.T){
			"change": func(*rapid.T) { busy() },
			"refresh": func(*rapid.T) {
				for range w.total {
					_, _ = w.sales().Enter(rt.Context(), rapid.Int64Range(1, crowd).Draw(rt, "user"), w.goodsID)
				}
				m.older(time.Minute) // after any pause
				m.refresh(rt.Context(), w.goodsID)
			},
			"compare": func(rt *rapid.T) {
				disturbance := disturbed.next
				disturbed.next = nil
				defer func() { disturbed.next = disturbance }()
				k := (*m.known.Load())[w.goodsID]
				if k == nil {
					rt.Skip("nothing is known")
				}
				m.check(rt.Context(), w.goodsID, k)
				for user := int64(1); user <= crowd; user++ {
					if m.refuses(rt.Context(), user, w.goodsID) {
						a, err := newLedger(others).admit(rt.Context(), user, w.goodsID, "a task that must not be")
						require.NoError(rt, err)
						require.Equal(rt, admitSoldOut, a.result, "user %d", user)
					}
				}
			},
		})
	})
}

// leave gives a reservation back.
func (w *world) leave(t *rapid.T) {
	pending, err := w.rdb.HGetAll(t.Context(), pendingKey(w.goodsID)).Result()
	require.NoError(t, err)
	if len(pending) == 0 {
		return
	}
	task := rapid.SampledFrom(slices.Sorted(maps.Keys(pending))).Draw(t, "task")
	user, _, err := splitPending(pending[task])
	require.NoError(t, err)
	_, err = newLedger(w.rdb).giveBack(t.Context(), w.goodsID, rapid.Bool().Draw(t, "sold out"), reservation{user, task})
	require.NoError(t, err)
	w.queue.remove(task)
}

func (w *world) restock(t *rapid.T, told bool) {
	by := rapid.Int64Range(-1, 1).Draw(t, "by")
	err := w.db.Model(&shop.Goods{}).Where("id = ? AND stock + ? >= 0", w.goodsID, by).
		UpdateColumn("stock", gorm.Expr("stock + ?", by)).Error
	require.NoError(t, err)
	if told {
		require.NoError(t, w.sales().Invalidate(t.Context(), w.goodsID))
	}
}

func (w *world) loseOrders(t *rapid.T) {
	lost := w.db.Where("goods_id = ?", w.goodsID).Delete(&shop.Order{})
	require.NoError(t, lost.Error)
	require.NoError(t, w.db.Model(&shop.Goods{}).Where("id = ?", w.goodsID).
		UpdateColumn("stock", gorm.Expr("stock + ?", lost.RowsAffected)).Error)
}

// disturbance runs something before each command and pipeline.
type disturbance struct{ next func() }

func (d *disturbance) now() {
	if next := d.next; next != nil {
		d.next = nil
		next()
		d.next = next
	}
}

func (d *disturbance) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) { return next(ctx, network, addr) }
}

func (d *disturbance) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		d.now()
		return next(ctx, cmd)
	}
}

func (d *disturbance) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		d.now()
		return next(ctx, cmds)
	}
}
