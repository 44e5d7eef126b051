package process

import (
	"os"
	"runtime/debug"
)

// heapGrowth is how much the heap grows between two collections, in percent of what is live.
const heapGrowth = 400

// CollectLess makes the garbage collector wait until the heap is five times as large as what is live, instead of twice,
// unless the environment says otherwise in GOGC. For a program that keeps a few MiB and answers many requests, or runs
// many tasks, that costs tens of MiB, and saves it up to a tenth of its time.
func CollectLess() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(heapGrowth)
	}
}
