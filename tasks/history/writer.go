package history

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"gorm.io/gorm"

	"github.com/paidui/paidui/tasks"
)

// Options configure a Writer. The zero value is a sensible one.
type Options struct {
	Buffer   int                   // bytes of memory that records may take while they wait, about; 64 MiB when 0
	Logger   *slog.Logger          // slog.Default when nil
	Registry prometheus.Registerer // where the metrics go; nowhere when nil
}

const defaultBuffer = 64 << 20

const (
	endedDelay = 250 * time.Millisecond // that the record of a task that has ended waits for company
	openDelay  = time.Second            // that another one waits to be overtaken by it; half of that, when one before it is due
	openRows   = 4000                   // of these wait; in a burst the oldest are written while others come
	batchRows  = 4000                   // of one transaction at most; so many are written at once
	batchBytes = 4 << 20
	flushLimit = 15 * time.Second // for one transaction
	roomLimit  = 3 * time.Second  // that Record waits for room
	leastPause = 100 * time.Millisecond
	mostPause  = 5 * time.Second // between two tries while the database fails
	logPause   = 10 * time.Second
)

// Writer is the tasks.Recorder that writes to paidui_task_records, in the background.
//
// While the database answers but is too slow, Record waits for room, three seconds at most. While it fails, the writer
// tries on and keeps what the buffer holds; beyond that the oldest records are dropped and counted. Tasks go on.
type Writer struct {
	limit   int
	logger  *slog.Logger
	metrics *metrics

	running context.Context // ends when Close must not wait any longer
	abandon context.CancelFunc
	wake    chan struct{} // says that something is due earlier than the loop thinks
	closing chan struct{} // closed by the first Close
	loops   []*writeLoop
	working sync.WaitGroup

	mu      sync.Mutex
	buffer  *buffer
	room    chan struct{} // closed when there is room again; nil while nobody waits
	failing bool          // the last try failed, or Record waited in vain
	closed  bool
	lost    int       // records dropped since the last line of log
	logged  time.Time // when that was
	left    int       // records that Close could not write
}

// NewWriter starts a writer on a database whose tables are migrated before the first record. Close ends it.
func NewWriter(db *gorm.DB, opt Options) (*Writer, error) {
	t, err := newTable(db)
	if err != nil {
		return nil, err
	}
	w := &Writer{
		limit:  opt.Buffer,
		logger: opt.Logger,
		buffer: newBuffer(),
		wake:   make(chan struct{}, 1),

		closing: make(chan struct{}),
	}
	if w.limit <= 0 {
		w.limit = defaultBuffer
	}
	if w.logger == nil {
		w.logger = slog.Default()
	}
	if w.metrics, err = newMetrics(opt.Registry, w.waiting); err != nil {
		return nil, err
	}
	w.running, w.abandon = context.WithCancel(context.Background())
	for range t.dialect.writers {
		w.loops = append(w.loops, &writeLoop{
			Writer: w, rows: batchRows, table: &table{pool: t.pool, dialect: t.dialect, keep: true, refused: w.onRefused},
		})
	}
	for _, l := range w.loops {
		w.working.Go(l.run)
	}
	return w, nil
}

// waiting is how many records wait.
func (w *Writer) waiting() float64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return float64(len(w.buffer.rows))
}

// Record implements tasks.Recorder.
func (w *Writer) Record(record tasks.Record) {
	now := time.Now()
	r, ok := newRow(record, now)
	if !ok {
		w.metrics.drop(dropInvalid, 1)
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	room := w.makeRoom(r.size())
	switch {
	case w.closed:
		w.metrics.drop(dropClosed, 1)
		return
	case !room:
		w.countDropped(dropFull, 1)
		return
	}
	idle := len(w.buffer.rows) == 0
	w.buffer.add(r, now)
	if idle || len(w.buffer.ended.entries)-w.buffer.ended.head == batchRows || w.buffer.late == openRows || w.urgent() {
		w.notify()
	}
}

// makeRoom returns when size more bytes fit, or the writer is closed; or false, when the database fails and there is
// nothing older to drop. w.mu is held, and let go while it waits.
func (w *Writer) makeRoom(size int) bool {
	if w.buffer.bytes+size <= w.limit {
		return true
	}
	timer := time.NewTimer(roomLimit)
	defer timer.Stop()
	for w.buffer.bytes+size > w.limit && !w.closed {
		if w.failing {
			if !w.buffer.drop() {
				return false // what is left is being written
			}
			w.countDropped(dropFull, 1)
			continue
		}
		if w.room == nil {
			w.room = make(chan struct{})
		}
		room := w.room
		w.notify()
		w.mu.Unlock()
		select {
		case <-room:
		case <-timer.C:
			w.mu.Lock()
			w.failing = true // so that the next ones do not wait as long
			continue
		}
		w.mu.Lock()
	}
	return true
}

// urgent is when rows are written without waiting for company.
func (w *Writer) urgent() bool { return w.closed || w.buffer.bytes > w.limit/2 }

func (w *Writer) notify() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// countDropped counts dropped records and logs them, once in a while. w.mu is held.
func (w *Writer) countDropped(reason string, n int) {
	w.metrics.drop(reason, n)
	w.lost += n
	if time.Since(w.logged) < logPause {
		return
	}
	w.logger.Warn("records of tasks are missing in the history", "records", w.lost, "reason", reason)
	w.lost, w.logged = 0, time.Now()
}

// next returns the batch that is due now for a loop that has finished its last one, or else how long nothing will be due.
func (w *Writer) next(l *writeLoop, now time.Time) (batch []*entry, pause time.Duration, ended bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	l.oldest = time.Time{}
	b := w.buffer
	full := len(b.ended.entries)-b.ended.head >= batchRows
	oldest := b.open.first(true)
	together := oldest != nil && now.Sub(oldest.since) >= openDelay
	many := b.late >= openRows
	due := func(e *entry) bool {
		switch {
		case w.urgent():
			return true
		case e.late:
			return many || together && now.Sub(e.since) >= openDelay/2
		}
		return full || now.Sub(e.since) >= endedDelay
	}
	// Of what is being written nothing can be dropped: there must be older records than the next one beside it.
	size := min(batchBytes, w.limit/(2*len(w.loops)))
	if batch = b.take(due, batchRows, size); len(batch) > 0 {
		l.oldest = slices.MinFunc(batch, func(a, b *entry) int { return a.since.Compare(b.since) }).since
		w.notify() // another loop may find more
		return batch, 0, false
	}
	pause = time.Hour
	if e := b.open.first(true); e != nil {
		pause = openDelay - now.Sub(e.since)
	}
	if e := b.ended.first(false); e != nil {
		pause = min(pause, endedDelay-now.Sub(e.since))
	}
	return nil, max(pause, 0), w.closed
}

// Written is a time before which the end of every task that was recorded is in the database, or was dropped.
func (w *Writer) Written() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	written := time.Now()
	if e := w.buffer.ended.first(false); e != nil {
		written = e.since
	}
	for _, l := range w.loops {
		if !l.oldest.IsZero() && l.oldest.Before(written) {
			written = l.oldest
		}
	}
	return written
}

// finish gives the room of a batch back, of which so many rows are written. The others are dropped for the reason.
func (w *Writer) finish(batch []*entry, written int, reason string) {
	w.metrics.written.Add(float64(written))
	w.mu.Lock()
	defer w.mu.Unlock()
	w.failing = reason == dropClosed
	w.buffer.release(batch)
	if w.room != nil {
		close(w.room)
		w.room = nil
	}
	if dropped := len(batch) - written; dropped > 0 {
		w.countDropped(reason, dropped)
		if reason == dropClosed {
			w.left += dropped
		}
	}
}

// logFailure notes that the database fails, and logs why, once in a while.
func (w *Writer) logFailure(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.failing = true
	if time.Since(w.logged) >= logPause {
		w.logger.Warn("the history cannot be written; it is kept in memory for now",
			"records", len(w.buffer.rows), "bytes", w.buffer.bytes, "error", err)
		w.logged = time.Now()
	}
}

// Close writes what waits, for as long as ctx lasts, and ends the writer; it says how many records it could not write.
// Call it when nothing records any more, before the database is closed.
func (w *Writer) Close(ctx context.Context) error {
	stop := context.AfterFunc(ctx, w.abandon)
	defer stop()
	w.mu.Lock()
	first := !w.closed
	w.closed = true
	if first {
		close(w.closing)
	}
	if w.room != nil {
		close(w.room)
		w.room = nil
	}
	w.mu.Unlock()
	w.notify()
	w.working.Wait()
	w.abandon()
	w.mu.Lock()
	left := w.left
	w.mu.Unlock()
	if !first {
		return nil
	}
	for _, l := range w.loops {
		l.table.close()
	}
	if left > 0 {
		return fmt.Errorf("history: %d records could not be written before the end", left)
	}
	return nil
}
