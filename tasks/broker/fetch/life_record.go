package fetch

import (
	"context"
	"encoding/json"
	"time"

	"github.com/paidui/paidui/tasks/broker/internal/format"
)

const (
	// recordPause is how long a worker's record stays as it is before a beat renews it, and recordLife when it expires.
	recordPause = 30 * time.Second
	recordLife  = 2 * time.Minute
	// recordWait bounds the writing, and recordRetry is when it is tried again after a failure: on a Redis Cluster the
	// record's node may be down while the queues' nodes are well, and the beats must go on in their time.
	recordWait  = 200 * time.Millisecond
	recordRetry = 10 * time.Second
)

// record writes the worker's record when it is due, or was lost with the data of Redis. Without one, callers learn less of
// the worker, and nothing else is worse. It belongs to beat.
func (f *Fetcher) record(ctx context.Context, known bool) {
	if f.cfg.Tasks == nil || known && time.Since(f.life.recorded) < recordPause {
		return
	}
	text, err := json.Marshal(format.WorkerRecord{Name: f.cfg.Name, Queues: f.cfg.Queues, Tasks: f.cfg.Tasks})
	if err == nil {
		ctx, cancel := context.WithTimeout(ctx, recordWait)
		defer cancel()
		err = f.b.Redis().Set(ctx, format.WorkerKey(f.life.name), text, recordLife).Err()
	}
	f.life.recorded = time.Now()
	if err != nil {
		f.life.recorded = f.life.recorded.Add(recordRetry - recordPause)
		f.logger.DebugContext(ctx, "what this worker can run is not written to the broker", "worker", f.cfg.Name, "error", err)
	}
}
