package seckill

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestWhoeverComesMeanwhileGoesTogether(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var sizes []int
		land := make(chan struct{})
		b := &batcher{size: 50, work: func(_ context.Context, batch []*placing) {
			mu.Lock()
			sizes = append(sizes, len(batch))
			mu.Unlock()
			<-land
			for _, p := range batch {
				p.err = nil
			}
		}}
		var wg sync.WaitGroup
		come := func(n int) {
			for range n {
				wg.Go(func() {
					p := &placing{}
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
		require.Zero(t, b.flying)
		require.Empty(t, b.waiting)
	})
}

func TestACallerLeavesAndTheOthersGoOn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		land := make(chan struct{})
		var worked atomic.Int64
		b := &batcher{size: 50, work: func(ctx context.Context, batch []*placing) {
			<-land
			for _, p := range batch {
				p.err = ctx.Err()
				worked.Add(1)
			}
		}}
		leaving, leave := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		come := func(ctx context.Context, want error) {
			wg.Go(func() {
				p := &placing{}
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
		b := &batcher{size: size, work: func(context.Context, []*placing) { panic("no") }}
		var wg sync.WaitGroup
		for range 100 {
			wg.Go(func() {
				p := &placing{}
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
		b := &batcher{work: func(_ context.Context, batch []*placing) {
			flying.Add(1)
			<-land
		}}
		w := &worker{joint: b}
		BatchSize(0)(w)
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() { _ = b.do(t.Context(), &placing{}) })
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
		b := &batcher{size: 50, work: func(ctx context.Context, batch []*placing) {
			<-ctx.Done()
			failAll(batch, ctx.Err())
		}}
		began := time.Now()
		p := &placing{}
		require.NoError(t, b.do(t.Context(), p))
		require.ErrorIs(t, p.err, context.DeadlineExceeded)
		require.Equal(t, batchLimit, time.Since(began))
	})
}
