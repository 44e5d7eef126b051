package redisx

import (
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestItemsThatComeMeanwhileGoTogether(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var batches [][]int
		land := make(chan struct{})
		b := &Batcher[int]{Size: 50, MaxInFlight: 2, Flush: func(batch []int) {
			mu.Lock()
			batches = append(batches, batch)
			mu.Unlock()
			<-land
		}}
		sizes := func() (all []int) {
			synctest.Wait()
			mu.Lock()
			defer mu.Unlock()
			for _, batch := range batches {
				all = append(all, len(batch))
			}
			return all
		}
		b.Add(0)
		require.Equal(t, []int{1}, sizes(), "an item that finds a free lane goes at once")
		b.Add(1)
		require.Equal(t, []int{1, 1}, sizes(), "the second lane")
		for n := 2; n < 122; n++ {
			b.Add(n)
		}
		require.Equal(t, []int{1, 1}, sizes(), "as many as may be are under way")
		waiting, busy := b.Load()
		require.Equal(t, []int{120, 2}, []int{waiting, busy})
		close(land)
		require.Equal(t, []int{1, 1, 50, 50, 20}, sizes())
		want := make([]int, 122)
		for n := range want {
			want[n] = n
		}
		all := slices.Concat(batches...)
		slices.Sort(all)
		require.Equal(t, want, all, "each item is in one batch")
		waiting, busy = b.Load()
		require.Equal(t, []int{0, 0}, []int{waiting, busy})
		require.Nil(t, b.waiting, "a burst leaves nothing behind")
	})
}

func TestSharedTimer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var timer SharedTimer
		begun := time.Now()
		first := timer.After(time.Second)
		time.Sleep(400 * time.Millisecond)
		second := timer.After(time.Second)
		require.Equal(t, first, second)
		<-second
		require.Equal(t, time.Second, time.Since(begun), "the span of whoever asked first")
		<-timer.After(time.Second)
		require.Equal(t, 2*time.Second, time.Since(begun))
	})
}
