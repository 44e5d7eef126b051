package fetch

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/paidui/paidui/tasks/broker/internal/format"
)

const (
	// recordEvery is how often a worker's record is written at most, while what runs in its slots changes.
	recordEvery = time.Second
	// recordPause is how long a record stays as it is before it is renewed, and recordLife when it expires.
	recordPause = 30 * time.Second
	recordLife  = 2 * time.Minute
	// recordWait bounds the writing, and recordRetry is when it is tried again after a failure: on a Redis Cluster the
	// record's node may be down while the queues' nodes are well, and the beats must go on in their time.
	recordWait  = 200 * time.Millisecond
	recordRetry = 10 * time.Second
)

// recording is what was told of the worker.
type recording struct {
	started time.Time // the fetcher was made

	mu      sync.Mutex
	written time.Time // the record, or the last try; zero is never
	text    []byte
	failed  bool
	told    *served // whose queues are in the set of those that workers serve
	toldAt  time.Time
}

// record writes the worker's record when it is due, or was lost with the data of Redis. Without one, callers learn less of
// the worker, and nothing else is worse. It belongs to beat.
func (f *Fetcher) record(ctx context.Context, known bool) {
	f.control.recording.mu.Lock()
	if !known {
		f.control.recording.told = nil
	}
	due := !known || time.Since(f.control.recording.written) >= recordPause
	f.control.recording.mu.Unlock()
	if due {
		f.writeRecord(ctx)
	}
}

// tell writes the record if it has changed.
func (f *Fetcher) tell(ctx context.Context) {
	r := &f.control.recording
	r.mu.Lock()
	waits := r.written.IsZero() || r.failed && time.Since(r.written) < recordRetry // the first one is the beat's
	text := r.text
	r.mu.Unlock()
	if waits {
		return
	}
	now, err := json.Marshal(f.describe())
	if err == nil && !bytes.Equal(now, text) {
		f.writeRecord(ctx)
	}
}

// writeRecord writes the record. No command is sent for a task: what runs is known from the deliveries.
func (f *Fetcher) writeRecord(ctx context.Context) {
	if f.cfg.Tasks == nil {
		return
	}
	r := &f.control.recording
	r.mu.Lock()
	defer r.mu.Unlock()
	text, err := json.Marshal(f.describe())
	if err == nil {
		ctx, cancel := context.WithTimeout(ctx, recordWait)
		defer cancel()
		pipe := f.b.Redis().Pipeline()
		pipe.Set(ctx, format.WorkerKey(f.life.name), text, recordLife)
		if now := f.served.Load(); now != r.told || time.Since(r.toldAt) >= recordPause {
			pipe.SAdd(ctx, format.WorkerQueuesKey, now.queues)
			r.told, r.toldAt = now, time.Now()
		}
		_, err = pipe.Exec(ctx)
	}
	r.written, r.text, r.failed = time.Now(), text, err != nil
	if err != nil {
		r.told = nil
		f.logger.DebugContext(ctx, "what this worker runs, and can run, is not written to the broker", "worker", f.cfg.Name, "error", err)
	}
}

// describe is the record as it is to be now.
func (f *Fetcher) describe() format.WorkerRecord {
	longest, running := f.deliveries.longest()
	runs := make([]format.RunningRun, len(longest))
	for i, d := range longest {
		runs[i] = d.describe()
	}
	r := format.WorkerRecord{
		Name: f.cfg.Name, Queues: f.served.Load().weights, Tasks: f.cfg.Tasks,
		Host: hostName(), PID: os.Getpid(), Version: f.cfg.Version, Started: f.control.recording.started.UnixMilli(),
		Phase: f.Phase(), Slots: f.Slots(), Running: running, Runs: runs, Commands: true, Life: f.life.limit.Milliseconds(),
	}
	if f.cfg.LogLevel != nil {
		r.LogLevel = strings.ToLower(f.cfg.LogLevel.Level().String())
	}
	return r
}

func hostName() string {
	host, err := os.Hostname()
	if err != nil {
		return ""
	}
	return host
}

// longest lists the deliveries that began first, format.MaxRuns at most, and tells how many there are.
func (d *deliveries) longest() (list []*Delivery, all int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	list = make([]*Delivery, 0, len(d.byKey))
	for _, one := range d.byKey {
		list = append(list, one)
	}
	slices.SortFunc(list, func(a, b *Delivery) int {
		return cmp.Or(a.begun.Compare(b.begun), cmp.Compare(a.fetched.id, b.fetched.id))
	})
	return list[:min(len(list), format.MaxRuns)], len(list)
}

// describe is what the record says of the delivery.
func (d *Delivery) describe() format.RunningRun {
	stored := format.Decode([]byte(d.fetched.message))
	r := format.RunningRun{
		Queue: d.fetched.queue, ID: d.fetched.id, Task: stored.Task, Attempt: stored.Retried + 1,
		Since: d.begun.UnixMilli(), Deadline: d.until.Load(),
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if bytes.HasPrefix(d.progress, []byte("{")) && json.Valid(d.progress) { // an encrypted report is no JSON
		r.Progress = d.progress
	}
	return r
}
