package cache

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestBreakerOpensAfterFailuresInARow(t *testing.T) {
	t.Parallel()
	var b breaker
	now := time.Now()
	for range 10 { // never so many in a row
		for range failuresToOpen - 1 {
			require.False(t, b.failed(now))
		}
		require.True(t, b.allow(now))
		require.False(t, b.answered())
	}
	for range failuresToOpen - 1 {
		require.False(t, b.failed(now))
	}
	require.True(t, b.failed(now), "the last one opens it")
	require.False(t, b.failed(now), "it is open already")
	require.True(t, b.open())
	require.False(t, b.allow(now))
	require.False(t, b.allow(now.Add(openFor-1)))
}

func TestBreakerLetsOneProbeThrough(t *testing.T) {
	t.Parallel()
	var b breaker
	now := time.Now()
	for range failuresToOpen {
		b.failed(now)
	}
	for range 3 {
		now = now.Add(openFor)
		var allowed atomic.Int32
		var callers sync.WaitGroup
		for range 50 {
			callers.Go(func() {
				if b.allow(now) {
					allowed.Add(1)
				}
			})
		}
		callers.Wait()
		require.EqualValues(t, 1, allowed.Load())
		require.False(t, b.failed(now), "a probe that fails leaves it open")
		require.False(t, b.allow(now.Add(openFor-1)))
	}
	require.True(t, b.allow(now.Add(openFor)))
	require.True(t, b.answered())
	require.False(t, b.open())
	require.True(t, b.allow(now))
	require.False(t, b.failed(now), "it counts from the beginning again")
}
