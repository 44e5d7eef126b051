package fetch

import (
	"context"
	"slices"
	"time"

	"github.com/paidui/paidui/tasks/broker/internal/format"
)

// returnBatches returns each batch to the head of its queue, before the later ones.
func (f *Fetcher) returnBatches(list []*batch) {
	for _, b := range slices.Backward(list) {
		f.returnFetched(b.tasks)
	}
}

// returnFetched returns tasks of one queue that were fetched ahead to its head, in their order. If Redis can't be reached they
// run when this life has ended.
func (f *Fetcher) returnFetched(tasks []fetched) {
	for some := range slices.Chunk(tasks, prefetchLimit) {
		r := returnBatch{queue: some[0].queue}
		for _, t := range slices.Backward(some) {
			r.add(returned{id: t.id, token: t.token})
		}
		if _, err := f.returnTasks(context.Background(), r); err != nil {
			f.prefetched.unreturned.Store(true)
			f.logger.Warn("tasks that were fetched ahead are not put back; they run when the life of this worker has ended",
				"queue", r.queue, "tasks", len(some), "first_task_id", some[0].id, "error", err)
		}
	}
}

// returnBatch is active tasks of one queue that are to wait again, the first to run last.
type returnBatch struct {
	queue string
	tasks []returned
	ended bool // only those whose lease has ended
	died  bool // their worker died: it is counted
}

type returned struct {
	id, token string
	record    []byte        // of the attempt that ends so; nil without
	delay     time.Duration // whole seconds; 0 is at the head of the queue
}

func (r *returnBatch) add(t returned) { r.tasks = append(r.tasks, t) }

// returnTasks has tasks wait again that are still their owners', and returns how many these are.
func (f *Fetcher) returnTasks(ctx context.Context, r returnBatch) (n int, err error) {
	if len(r.tasks) == 0 {
		return 0, nil
	}
	q := r.queue
	keys := make([]string, 0, 7+len(r.tasks))
	args := make([]any, 0, 4+4*len(r.tasks))
	keys = append(keys, format.ActiveKey(q), format.LeaseKey(q), format.PendingKey(q), format.WakeKey(q), format.HighKey(q), format.LowKey(q), format.RetryKey(q))
	args = append(args, time.Now().UnixNano(), f.b.WakeUps(), format.Flag(r.ended), format.Flag(r.died))
	for _, t := range r.tasks {
		keys = append(keys, format.TaskKey(q, t.id))
		args = append(args, t.id, t.token, t.record, int64(t.delay.Seconds()))
	}
	return returnScript.Run(ctx, f.b.Redis(), keys, args...).Int()
}

var returnScript = format.Script("fetch/prefetch_return.lua")
