package boot

import (
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync"
)

const (
	// heapGrowth is how much the heap grows between two collections, in percent of what is live, while that is little.
	heapGrowth = 400
	// heapSlack bounds it in bytes, so that a program with much in hand, such as ten thousand waiting clients, does not
	// take five times the memory.
	heapSlack = 64 << 20
	// leastGrowth keeps collections from following one another when very much is live.
	leastGrowth = 25
)

// CollectLess makes the garbage collector wait until the heap is five times as large as what is live, instead of twice,
// but not for more than 64 MiB of garbage, or a quarter of what is live, unless the environment says otherwise in GOGC. The
// more is live beyond 64 MiB, the less garbage it waits for, until it is that quarter. For a program that keeps a few
// MiB and answers many requests, or runs many tasks, that costs tens of MiB, and saves it up to a tenth of its time.
func CollectLess() {
	if os.Getenv("GOGC") == "" {
		collectLess()
	}
}

var collectLess = sync.OnceFunc(func() {
	debug.SetGCPercent(heapGrowth)
	adjustAfterCollection(heapGrowth)
})

// adjustAfterCollection has the growth follow what each collection leaves.
func adjustAfterCollection(percent int) {
	token := new([16]byte) // which the next collection finds unused; a smaller one could share its place with others
	runtime.AddCleanup(token, func(percent int) {
		now := growth(live())
		if now != percent {
			debug.SetGCPercent(now)
		}
		adjustAfterCollection(now)
	}, percent)
}

// growth is the percentage for so many live bytes.
func growth(live uint64) int {
	if live == 0 {
		return heapGrowth
	}
	percent := heapSlack * 100 / live
	if live > heapSlack { // less and less, for the memory is needed
		percent = percent * heapSlack / live
	}
	return int(min(heapGrowth, max(leastGrowth, percent)))
}

// live is what the last collection kept and, since the collector's percentage counts them, the stacks.
func live() uint64 {
	sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}, {Name: "/gc/scan/stack:bytes"}}
	metrics.Read(sample)
	var sum uint64
	for _, s := range sample {
		if s.Value.Kind() == metrics.KindUint64 {
			sum += s.Value.Uint64()
		}
	}
	return sum
}
