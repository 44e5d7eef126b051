package seckill

import (
	"context"
	"errors"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/paidui/paidui/deploy/testenv"
	"github.com/paidui/paidui/tasks"
	"github.com/paidui/paidui/tasks/taskstest"
)

func TestWhoeverComesMeanwhileGoesTogether(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var sizes []int
		land := make(chan struct{})
		b := newBatcher(50, func(_ context.Context, batch []*orderRequest) {
			mu.Lock()
			sizes = append(sizes, len(batch))
			mu.Unlock()
			<-land
			for _, p := range batch {
				p.err = nil
			}
		})
		var wg sync.WaitGroup
		come := func(n int) {
			for range n {
				wg.Go(func() {
					p := &orderRequest{}
					if err := errors.Join(b.do(t.Context(), p), p.err); err != nil {
						t.Error(err)
					}
				})
				synctest.Wait()
			}
		}
		come(1)
		require.Equal(t, []int{1}, sizes, "whoever finds nobody at work goes at once")
		come(1)
		come(120)
		require.Equal(t, []int{1, 1}, sizes)
		close(land)
		wg.Wait()
		synctest.Wait()
		require.Equal(t, []int{1, 1, 50, 50, 20}, sizes)
		waiting, busy := b.group.Load()
		require.Zero(t, waiting+busy)
	})
}

func TestACallerLeavesAndTheOthersGoOn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		land := make(chan struct{})
		var worked atomic.Int64
		b := newBatcher(50, func(ctx context.Context, batch []*orderRequest) {
			<-land
			for _, p := range batch {
				p.err = ctx.Err()
				worked.Add(1)
			}
		})
		leaving, leave := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		come := func(ctx context.Context, want error) {
			wg.Go(func() {
				p := &orderRequest{}
				err := b.do(ctx, p)
				if err == nil {
					err = p.err
				}
				if !errors.Is(err, want) {
					t.Errorf("got %v, want %v", err, want)
				}
			})
			synctest.Wait()
		}
		come(leaving, context.Canceled) // its batch is under way
		come(t.Context(), nil)
		for range 10 {
			come(leaving, context.Canceled) // wait for the next
			come(t.Context(), nil)
		}
		leave()
		synctest.Wait()
		come(leaving, context.Canceled)
		close(land)
		wg.Wait()
		require.EqualValues(t, 12, worked.Load(), "who left before his batch began is not in it")
	})
}

func TestAPanicAnswersEveryone(t *testing.T) {
	t.Parallel()
	for _, size := range []int{1, 50} {
		b := newBatcher(size, func(context.Context, []*orderRequest) { panic("no") })
		var wg sync.WaitGroup
		for range 100 {
			wg.Go(func() {
				p := &orderRequest{}
				if err := b.do(context.Background(), p); err != nil {
					t.Error(err)
				}
				if p.err == nil || p.order != nil {
					t.Error("a panic passed for an answer")
				}
			})
		}
		wg.Wait()
	}
}

func TestOneABatchWaitsForNobody(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var flying atomic.Int64
		land := make(chan struct{})
		b := newBatcher(defaultBatch, func(_ context.Context, batch []*orderRequest) {
			flying.Add(1)
			<-land
		})
		w := &worker{batcher: b}
		BatchSize(0)(w)
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() { _ = b.do(t.Context(), &orderRequest{}) })
		}
		synctest.Wait()
		require.EqualValues(t, 20, flying.Load())
		close(land)
		wg.Wait()
	})
}

func TestABatchThatTakesTooLongIsGivenUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBatcher(50, func(ctx context.Context, batch []*orderRequest) {
			<-ctx.Done()
			failAll(batch, ctx.Err())
		})
		began := time.Now()
		p := &orderRequest{}
		require.NoError(t, b.do(t.Context(), p))
		require.ErrorIs(t, p.err, context.DeadlineExceeded)
		require.Equal(t, batchLimit, time.Since(began))
	})
}

// Handlers of two workers take the tasks of many users, some delivered twice, some given up in the middle; there are
// too few pieces.
func TestHandlersTakeJointly(t *testing.T) {
	eachStack(t, func(t *testing.T, s *stack) {
		const users, pieces = 300, 200
		goodsID := openGoods(t, s.db, pieces)
		require.NoError(t, s.sales.loader.load(t.Context(), goodsID))
		workers := []*worker{newWorker(s.sales.ledger, s.sales.store, BatchSize(64)), newWorker(s.sales.ledger, s.sales.store)}
		var won, refused, left atomic.Int64
		var wg sync.WaitGroup
		for user := int64(1); user <= users; user++ {
			taskID := tasks.NewID(queueName)
			for n, w := range workers {
				if n == 1 && user%10 != 0 {
					continue // one in ten is delivered twice
				}
				wg.Go(func() {
					ctx, cancel := context.WithCancel(t.Context())
					defer cancel()
					if user%50 == 1 {
						go cancel()
					}
					r, err := w.placeOrder(ctx, taskID, OrderArgs{UserID: user, GoodsID: goodsID})
					switch {
					case errors.Is(err, context.Canceled):
						left.Add(1)
					case err != nil:
						t.Error(err)
					case n == 1:
					case r.OK:
						won.Add(1)
					case r.Reason == ReasonSoldOut:
						refused.Add(1)
					}
				})
			}
		}
		wg.Wait()
		require.EqualValues(t, users, won.Load()+refused.Load()+left.Load())
		for _, w := range workers { // whoever left may still be in a batch
			require.Eventually(t, func() bool {
				_, busy := w.batcher.group.Load()
				return busy == 0
			}, 30*time.Second, time.Millisecond)
		}
		require.EqualValues(t, pieces, len(ordersOf(t, s.db, goodsID)))
		require.Zero(t, stockOf(t, s.db, goodsID))
		require.LessOrEqual(t, won.Load(), int64(pieces))
		require.GreaterOrEqual(t, won.Load()+left.Load(), int64(pieces))
	})
}

// The database goes away with a batch in its hands. Every task fails, is tried again, and gets its order.
func TestDatabaseAwayDuringABatch(t *testing.T) {
	t.Parallel()
	url := testenv.MySQL(t)
	host := regexp.MustCompile(`127\.0\.0\.1:\d+`).FindString(url)
	proxy := testenv.NewProxy(t, host)
	s := newStack(t, taskstest.Embedded(t), strings.Replace(url, host, proxy.Addr, 1))
	direct := openDB(t, url)
	goodsID := openGoods(t, direct, 100)
	w := newWorker(s.sales.ledger, s.sales.store)
	var cut atomic.Bool
	require.NoError(t, s.db.Callback().Raw().After("gorm:raw").Register("cut", func(*gorm.DB) {
		if cut.CompareAndSwap(false, true) {
			proxy.Cut()
		}
	}))
	var failed atomic.Int64
	var wg sync.WaitGroup
	for user := int64(1); user <= 50; user++ {
		wg.Go(func() {
			taskID := tasks.NewID(queueName)
			for range 50 {
				r, err := w.placeOrder(t.Context(), taskID, OrderArgs{UserID: user, GoodsID: goodsID})
				if err == nil {
					if !r.OK || r.TaskID != taskID {
						t.Errorf("got %v", r)
					}
					return
				}
				failed.Add(1)
			}
			t.Error("no order")
		})
	}
	wg.Wait()
	require.Positive(t, failed.Load())
	require.Len(t, ordersOf(t, direct, goodsID), 50)
	require.EqualValues(t, 50, stockOf(t, direct, goodsID))
}
