package cache

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestThrottleCountsWhatItSkips(t *testing.T) {
	t.Parallel()
	var lines throttle
	now := time.Now()
	ok, _ := lines.allow(now)
	require.True(t, ok)
	for range 5 {
		ok, _ = lines.allow(now.Add(logEvery - 1))
		require.False(t, ok)
	}
	ok, skipped := lines.allow(now.Add(logEvery))
	require.True(t, ok)
	require.EqualValues(t, 5, skipped)
}

func TestBucketAllowsABurstAndThenItsRate(t *testing.T) {
	t.Parallel()
	b := bucket{interval: 10 * time.Millisecond, burst: 20}
	now := time.Now()
	count := func() (n int) {
		for b.allow(now) {
			n++
		}
		return n
	}
	require.Equal(t, 20, count())
	now = now.Add(50 * time.Millisecond)
	require.Equal(t, 5, count())
	now = now.Add(time.Hour)
	require.Equal(t, 20, count(), "more than the burst is never saved up")
}
