package boot

import (
	"runtime"
	"runtime/debug"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestCollectLessHeedsGOGC(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(100))
	t.Setenv("GOGC", "100")
	CollectLess()
	require.Equal(t, 100, percent())
	t.Setenv("GOGC", "")
	CollectLess()
	require.Equal(t, heapGrowth, percent())

	ballast := make([]byte, 80<<20)
	require.Eventually(t, func() bool {
		runtime.GC()
		return percent() < 100
	}, 20*time.Second, 10*time.Millisecond, "much is live")
	runtime.KeepAlive(ballast)
	ballast = nil
	require.Eventually(t, func() bool {
		runtime.GC()
		return percent() == heapGrowth
	}, 20*time.Second, 10*time.Millisecond, "little is live: %d", len(ballast))
}

// percent is the collector's.
func percent() int {
	p := debug.SetGCPercent(-1)
	debug.SetGCPercent(p)
	return p
}

func TestGrowth(t *testing.T) {
	t.Parallel()
	for live, want := range map[uint64]int{0: 400, 1 << 20: 400, 16 << 20: 400, 32 << 20: 200, 64 << 20: 100, 96 << 20: 44, 128 << 20: 25, 256 << 20: 25, 8 << 30: 25} {
		require.Equal(t, want, growth(live), live)
	}
}
