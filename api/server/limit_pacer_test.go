package server

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// TestRefusalsArePaced refuses more at once than are refused within the longest wait.
func TestRefusalsArePaced(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := &pacer{every: time.Millisecond, longest: 100 * time.Millisecond}
		began := time.Now()
		p.wait(t.Context(), nil)
		require.Zero(t, time.Since(began), "one alone is refused at once")
		time.Sleep(p.every)
		began = time.Now()
		var (
			all    sync.WaitGroup
			mu     sync.Mutex
			within = map[time.Duration]int{}
		)
		for range 150 {
			all.Go(func() {
				p.wait(context.Background(), nil)
				mu.Lock()
				defer mu.Unlock()
				within[time.Since(began)]++
			})
		}
		all.Wait()
		require.Equal(t, p.longest, time.Since(began))
		for at, n := range within {
			if at < p.longest {
				require.Equal(t, 1, n, at)
			}
		}
		require.Equal(t, 50, within[p.longest])
		time.Sleep(time.Minute)
		began = time.Now()
		p.wait(t.Context(), nil)
		require.Zero(t, time.Since(began), "what was not used is not kept")
	})
}

// TestOnlySoManyWaitForTheirRefusal keeps connections for others.
func TestOnlySoManyWaitForTheirRefusal(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := &pacer{every: time.Second, longest: time.Minute, maxWaiting: 3}
		began := time.Now()
		p.wait(t.Context(), nil)
		var waiting sync.WaitGroup
		for range p.maxWaiting {
			waiting.Go(func() { p.wait(context.Background(), nil) })
		}
		synctest.Wait()
		for range 10 {
			p.wait(t.Context(), nil)
		}
		require.Zero(t, time.Since(began), "those beyond are refused at once")
		waiting.Wait()
		require.Equal(t, time.Duration(p.maxWaiting)*p.every, time.Since(began), "and put nobody off")
		p.wait(t.Context(), nil)
		p.wait(t.Context(), nil)
		require.Equal(t, time.Duration(p.maxWaiting+2)*p.every, time.Since(began), "there is room again")
	})
}

func TestAPacedRefusalCanBeHurried(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := &pacer{every: time.Hour, longest: time.Hour}
		p.wait(t.Context(), nil)
		began := time.Now()
		draining := make(chan struct{})
		close(draining)
		p.wait(t.Context(), draining)
		gone, leave := context.WithCancel(t.Context())
		leave()
		p.wait(gone, nil)
		require.Zero(t, time.Since(began))
		p.wait(t.Context(), nil)
		require.Equal(t, time.Hour, time.Since(began))
	})
}
