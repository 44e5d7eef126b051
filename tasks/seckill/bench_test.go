package seckill

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/deploy/testenv"
	"github.com/paidui/paidui/models"
	"github.com/paidui/paidui/models/shop"
	"github.com/paidui/paidui/tasks"
	"github.com/paidui/paidui/tasks/taskstest"
)

// BenchmarkTake has several handlers place orders on MariaDB, with a sync of the disk at each commit, and settle them
// in Redis.
func BenchmarkTake(b *testing.B) {
	opt, err := redis.ParseURL(testenv.RedisURL(b))
	require.NoError(b, err)
	rdb := redis.NewClient(opt)
	b.Cleanup(func() { _ = rdb.Close() })
	db, err := models.Open(b.Context(), testenv.MySQL(b), models.Options{})
	require.NoError(b, err)
	b.Cleanup(func() { _ = models.Close(db) })
	require.NoError(b, shop.Migrate(b.Context(), db))
	var user atomic.Int64
	for _, handlers := range []int{64, 256, 1000} {
		for _, size := range []int{1, defaultBatch} {
			b.Run(fmt.Sprintf("handlers=%d/batch=%d", handlers, size), func(b *testing.B) {
				w := newWorker(newLedger(rdb), store{db}, BatchSize(size))
				goodsID := openGoods(b, db, int64(b.N))
				b.SetParallelism(max(handlers/2, 1)) // times the processors
				b.ReportAllocs()
				b.ResetTimer()
				b.RunParallel(func(pb *testing.PB) {
					for pb.Next() {
						args := OrderArgs{UserID: user.Add(1), GoodsID: goodsID}
						if r, err := w.placeOrder(context.Background(), tasks.NewID(queueName), args); err != nil || !r.OK {
							b.Error(r, err)
							return
						}
					}
				})
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "orders/s")
				require.Zero(b, stockOf(b, db, goodsID))
			})
		}
	}
}

// BenchmarkSoldOut has many users ask for goods of which all is sold: with the memory of this process, and with a question to
// Redis for each.
func BenchmarkSoldOut(b *testing.B) {
	for _, remembers := range []bool{true, false} {
		b.Run(fmt.Sprintf("memory=%t", remembers), func(b *testing.B) {
			s := newStack(b, taskstest.Broker(b, testenv.RedisURL(b)), testenv.MySQL(b))
			goodsID := openGoods(b, s.db, 0)
			inTurn(s.sales.memory)
			if !remembers {
				s.sales.memory.background = func(func()) {} // it never learns
			}
			_, err := s.sales.Enter(b.Context(), 1, goodsID)
			require.ErrorIs(b, err, ErrSoldOut)
			require.Equal(b, remembers, s.sales.memory.refuses(b.Context(), 1, goodsID))
			if remembers {
				s.sales.memory.background = func(work func()) { go work() }
			}
			var user atomic.Int64
			b.SetParallelism(128) // times the processors
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if _, err := s.sales.Enter(context.Background(), user.Add(1), goodsID); !errors.Is(err, ErrSoldOut) {
						b.Error(err)
						return
					}
				}
			})
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "requests/s")
		})
	}
}
