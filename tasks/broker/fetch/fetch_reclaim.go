package fetch

import (
	"context"
	"fmt"

	"github.com/paidui/paidui/tasks/broker/internal/format"
)

// reclaim puts back the tasks that Redis gave to this worker in an answer that never arrived; they would otherwise wait
// for the end of their lease. Such an answer is lost with its connection, so there is something to look for only after
// a new one was made. It belongs to the goroutine that fetches.
func (f *Fetcher) reclaim(ctx context.Context) error {
	connects := f.b.Connects()
	if f.reclaimed == connects {
		return nil
	}
	for _, queue := range f.control.bound() {
		reply, err := reclaimScript.Run(ctx, f.b.Redis(), []string{format.ActiveKey(queue)}, format.TaskKeyPrefix(queue), f.deliveries.prefix).StringSlice()
		if err != nil {
			return fmt.Errorf("look for tasks that did not arrive: %w", err)
		}
		var lost []fetched
		for i := 0; i+1 < len(reply); i += 2 {
			t := fetched{queue: queue, key: format.TaskKey(queue, reply[i]), id: reply[i], token: reply[i+1]}
			if !f.deliveries.has(t) && !f.prefetched.has(t) {
				lost = append(lost, t)
			}
		}
		f.returnFetched(lost)
	}
	f.reclaimed = connects
	return nil
}

var reclaimScript = format.Script("fetch/fetch_reclaim.lua")
