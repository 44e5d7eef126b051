package server

import (
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestABucketLetsABurstAndARateThrough(t *testing.T) {
	t.Parallel()
	b, now := newBucket[int64](10, 2*time.Second), time.Unix(1_800_000_000, 0)
	for range 20 {
		require.Zero(t, b.take(7, now))
	}
	require.Equal(t, 100*time.Millisecond, b.take(7, now))
	require.Equal(t, 100*time.Millisecond, b.peek(7, now))
	require.Zero(t, b.take(8, now), "another client")
	taken := 0
	for range 1000 { // 10 s
		now = now.Add(10 * time.Millisecond)
		if b.take(7, now) == 0 {
			taken++
		}
	}
	require.Equal(t, 100, taken)
	now = now.Add(time.Hour)
	for range 20 {
		require.Zero(t, b.take(7, now))
	}
	require.Positive(t, b.take(7, now))
	require.Nil(t, newBucket[int64](0, time.Second))
	require.Zero(t, (*bucket[int64])(nil).take(7, now))
}

func TestABucketForgets(t *testing.T) {
	t.Parallel()
	b, now := newBucket[int64](1, time.Second), time.Unix(1_800_000_000, 0)
	for i := range int64(10_000) {
		require.Zero(t, b.take(i, now))
		now = now.Add(10 * time.Millisecond) // so that a hundred are remembered
	}
	require.LessOrEqual(t, len(b.until), 1024)
	for i := range int64(2 * maxClients) {
		require.Zero(t, b.take(-i-1, now))
	}
	require.LessOrEqual(t, len(b.until), 2*maxClients, "however many there are")
}

func TestRatesKnowAddressesApart(t *testing.T) {
	t.Parallel()
	r := newRates(1, nil)
	now := time.Now()
	for range wrongKeys {
		require.Zero(t, r.wrongKeys.take(netip.MustParseAddr("192.0.2.1"), now))
	}
	require.Positive(t, r.wrongKeys.peek(netip.MustParseAddr("192.0.2.1"), now))
	require.Zero(t, r.wrongKeys.peek(netip.MustParseAddr("192.0.2.2"), now))
	require.Zero(t, r.wrongKeys.peek(netip.MustParseAddr("192.0.2.1"), now.Add(wrongKeyEvery)))
}
