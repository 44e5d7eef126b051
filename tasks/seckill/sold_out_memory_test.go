package seckill

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"
	"gorm.io/gorm"

	"github.com/paidui/paidui/models/shop"
	"github.com/paidui/paidui/tasks/taskstest"
)

// counted counts the commands to Redis.
type counted struct{ n atomic.Int64 }

func (c *counted) DialHook(next redis.DialHook) redis.DialHook { return next }

func (c *counted) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		c.n.Add(1)
		return next(ctx, cmd)
	}
}

func (c *counted) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		c.n.Add(int64(len(cmds)))
		return next(ctx, cmds)
	}
}

// inTurn has what the memory does in the background done at once.
func inTurn(m *memory) { m.background = func(work func()) { work() } }

// older lets time pass for what is known.
func (m *memory) older(d time.Duration) { m.began = m.began.Add(-d) }

// soldOutTo demands that the sales refuses the user, and tells whether it asked Redis.
func (s *stack) soldOutTo(t *testing.T, c *counted, userID, goodsID int64) (asked bool) {
	t.Helper()
	before := c.n.Load()
	_, err := s.sales.Enter(t.Context(), userID, goodsID)
	require.ErrorIs(t, err, ErrSoldOut)
	return c.n.Load() != before
}

func TestSoldOutIsKnownWithoutRedis(t *testing.T) {
	eachStack(t, func(t *testing.T, s *stack) {
		inTurn(s.sales.memory)
		var c counted
		s.rdb.AddHook(&c)
		goodsID := openGoods(t, s.db, 3)
		var tickets []string
		for user := int64(1); user <= 3; user++ {
			ticket, err := s.sales.Enter(t.Context(), user, goodsID)
			require.NoError(t, err)
			tickets = append(tickets, ticket.TaskID)
		}
		require.True(t, s.soldOutTo(t, &c, 100, goodsID))
		for user := int64(100); user < 1100; user++ {
			require.False(t, s.soldOutTo(t, &c, user, goodsID))
		}
		for i, want := range tickets {
			ticket, err := s.sales.Enter(t.Context(), int64(i+1), goodsID)
			require.NoError(t, err)
			require.Equal(t, want, ticket.TaskID, "who is in gets his ticket")
		}

		// One script twice a second, not more.
		s.sales.memory.older(checkAfter)
		require.True(t, s.soldOutTo(t, &c, 100, goodsID))
		before := c.n.Load()
		for range 100 {
			require.False(t, s.soldOutTo(t, &c, 100, goodsID))
		}
		s.sales.memory.older(checkAfter)
		require.True(t, s.soldOutTo(t, &c, 100, goodsID))
		require.LessOrEqual(t, c.n.Load()-before, int64(2))
	})
}

func TestSoldOutIsUnknown(t *testing.T) {
	changes := map[string]func(t *testing.T, s *stack, goodsID int64, ticket string){
		"when a reservation is given back": func(t *testing.T, s *stack, goodsID int64, ticket string) {
			given, err := newLedger(s.rdb).giveBack(t.Context(), goodsID, false, reservation{1, ticket})
			require.NoError(t, err)
			require.Equal(t, 1, given)
		},
		"when another process is told of more stock": func(t *testing.T, s *stack, goodsID int64, _ string) {
			require.NoError(t, s.db.Model(&shop.Goods{}).Where("id = ?", goodsID).UpdateColumn("stock", gorm.Expr("stock + 1")).Error)
			require.NoError(t, NewSales(s.db, s.rdb, s.client).Invalidate(t.Context(), goodsID))
		},
		"when reconcile finds more stock": func(t *testing.T, s *stack, goodsID int64, _ string) {
			require.NoError(t, s.db.Model(&shop.Goods{}).Where("id = ?", goodsID).UpdateColumn("stock", gorm.Expr("stock + 1")).Error)
			s.reconcile(t)
		},
		"when Redis has lost everything": func(t *testing.T, s *stack, _ int64, _ string) {
			require.NoError(t, s.rdb.FlushAll(t.Context()).Err())
		},
	}
	for name, change := range changes {
		t.Run(name, func(t *testing.T) {
			eachStack(t, func(t *testing.T, s *stack) {
				inTurn(s.sales.memory)
				goodsID := openGoods(t, s.db, 1)
				ticket := s.reserve(t, 1, goodsID)
				for range 2 {
					_, err := s.sales.Enter(t.Context(), 2, goodsID)
					require.ErrorIs(t, err, ErrSoldOut)
				}
				change(t, s, goodsID, ticket)
				s.sales.memory.older(checkAfter)
				_, err := s.sales.Enter(t.Context(), 2, goodsID)
				require.ErrorIs(t, err, ErrSoldOut, "the check comes after the answer")
				_, err = s.sales.Enter(t.Context(), 2, goodsID)
				require.NoError(t, err)
			})
		})
	}
}

func TestSoldOutIsUnknownAtTheEndOfTheSale(t *testing.T) {
	eachStack(t, func(t *testing.T, s *stack) {
		now := time.Now()
		goodsID := addGoods(t, s.db, 0, now.Add(-time.Hour), now.Add(300*time.Millisecond))
		reason := func() string {
			_, err := s.sales.Enter(t.Context(), 1, goodsID)
			return ReasonOf(err)
		}
		require.Eventually(t, func() bool { return reason() == ReasonEnded }, 20*time.Second, 5*time.Millisecond)
		require.Equal(t, ReasonEnded, reason())
	})
}

func TestInvalidateIsKnownAtOnce(t *testing.T) {
	eachStack(t, func(t *testing.T, s *stack) {
		goodsID := openGoods(t, s.db, 0)
		for user := int64(1); user <= 20; user++ {
			_, err := s.sales.Enter(t.Context(), user, goodsID) // some while others read in the background
			require.ErrorIs(t, err, ErrSoldOut)
			require.NoError(t, s.db.Model(&shop.Goods{}).Where("id = ?", goodsID).UpdateColumn("stock", user).Error)
			require.NoError(t, s.sales.Invalidate(t.Context(), goodsID))
			_, err = s.sales.Enter(t.Context(), user, goodsID)
			require.NoError(t, err)
			_, err = s.sales.Enter(t.Context(), user, goodsID)
			require.NoError(t, err, "who was let in is in")
		}
	})
}

func TestWhatIsTooOldIsNotUsed(t *testing.T) {
	t.Parallel()
	server := miniredis.RunT(t)
	s := newStack(t, taskstest.Broker(t, "redis://"+server.Addr()), "sqlite://:memory:")
	inTurn(s.sales.memory)
	goodsID := openGoods(t, s.db, 0)
	enter := func() error {
		_, err := s.sales.Enter(t.Context(), 1, goodsID)
		return err
	}
	require.ErrorIs(t, enter(), ErrSoldOut)
	server.SetError("LOADING for a while")
	require.ErrorIs(t, enter(), ErrSoldOut, "Redis is not needed")
	s.sales.memory.older(checkAfter)
	require.ErrorIs(t, enter(), ErrSoldOut)
	s.sales.memory.older(trustFor - checkAfter)
	err := enter()
	require.Error(t, err)
	require.Empty(t, ReasonOf(err))
	server.SetError("")
	require.ErrorIs(t, enter(), ErrSoldOut)
	require.ErrorIs(t, enter(), ErrSoldOut)
}

func TestMemoryIsBounded(t *testing.T) {
	t.Parallel()
	m := newMemory(ledger{})
	crowd := &userSet{n: memoryUsers - 10}
	m.replace(1, &soldOut{in: crowd})
	m.replace(2, &soldOut{in: &userSet{n: 10}})
	m.replace(3, &soldOut{in: &userSet{n: 1}})
	known := *m.known.Load()
	require.Contains(t, known, int64(1))
	require.Contains(t, known, int64(2))
	require.NotContains(t, known, int64(3), "there is no room")
	m.replace(1, nil)
	for id := int64(3); id < 3*memoryGoods; id++ {
		m.replace(id, &soldOut{in: newUserSet(0)})
	}
	require.Len(t, *m.known.Load(), memoryGoods)
	m.older(memoryIdle + time.Second)
	k := &soldOut{in: newUserSet(0)}
	k.seen.Store(int64(m.now()))
	m.replace(7_000_000, k)
	require.Len(t, *m.known.Load(), 1, "what nobody asks for makes room")
}

func TestTheCrowdLearnsOnce(t *testing.T) {
	eachStack(t, func(t *testing.T, s *stack) {
		goodsID := openGoods(t, s.db, 0)
		require.NoError(t, s.sales.loader.load(t.Context(), goodsID))
		var works []func()
		var mu sync.Mutex
		s.sales.memory.background = func(work func()) {
			mu.Lock()
			defer mu.Unlock()
			works = append(works, work)
		}
		var group errgroup.Group
		for user := int64(1); user <= 50; user++ {
			group.Go(func() error {
				_, err := s.sales.Enter(t.Context(), user, goodsID)
				if ReasonOf(err) == ReasonSoldOut {
					return nil
				}
				return err
			})
		}
		require.NoError(t, group.Wait())
		require.Len(t, works, 1)
		works[0]()
		require.True(t, s.sales.memory.refuses(t.Context(), 1, goodsID))
	})
}

func TestRefusingAllocatesNothing(t *testing.T) {
	s := newStack(t, taskstest.Embedded(t), "sqlite://:memory:")
	inTurn(s.sales.memory)
	goodsID := openGoods(t, s.db, 0)
	_, err := s.sales.Enter(t.Context(), 1, goodsID)
	require.ErrorIs(t, err, ErrSoldOut)
	s.sales.memory.older(-time.Hour) // no check comes in between
	ctx := t.Context()
	require.Zero(t, testing.AllocsPerRun(1000, func() { _, err = s.sales.Enter(ctx, 1, goodsID) }))
	require.ErrorIs(t, err, ErrSoldOut)
}

func BenchmarkEnterSoldOut(b *testing.B) {
	m := newMemory(ledger{})
	in := newUserSet(100_000)
	for user := int64(1); user <= 100_000; user++ {
		in.add(user)
	}
	m.replace(1, &soldOut{in: in})
	m.older(-time.Hour)
	d := &Sales{memory: m}
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		user := int64(1_000_000)
		for pb.Next() {
			user++
			if _, err := d.Enter(b.Context(), user, 1); err == nil {
				b.Error("let in")
				return
			}
		}
	})
}
