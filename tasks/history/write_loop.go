package history

import (
	"math/rand/v2"
	"time"
)

// writeLoop is one of a writer's goroutines, with a connection of its own. While the database works at the batch of one, another
// makes the next.
type writeLoop struct {
	*Writer
	table  *table
	rows   int       // of the next transaction
	oldest time.Time // when the first record of its batch came, zero without one; guarded by Writer.mu
}

// run writes what is due until the writer is closed and empty; then it wakes the other loops, which end, too.
func (l *writeLoop) run() {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		batch, pause, ended := l.next(l, time.Now())
		switch {
		case len(batch) > 0:
			l.save(batch)
			continue
		case ended:
			l.notify()
			return
		}
		timer.Reset(pause)
		select {
		case <-l.wake:
		case <-timer.C:
		}
	}
}

// save writes a batch, however often it takes, until the writer must end.
func (l *writeLoop) save(batch []*entry) {
	pause, closing := leastPause, l.closing
	for len(batch) > 0 {
		part := batch[:min(l.rows, len(batch))]
		err := l.try(part)
		if err == nil {
			pause, l.rows = leastPause, min(2*l.rows, batchRows)
			l.finish(part, len(part)-refusedOf(part), dropRefused)
			batch = batch[len(part):]
			continue
		}
		if l.running.Err() != nil {
			l.finish(batch, 0, dropClosed)
			return
		}
		l.rows = max(l.rows/2, 1) // the time may not suffice for more
		l.logFailure(err)
		select {
		case <-l.running.Done():
		case <-closing: // there is little time left, and the database may be back
			pause, closing = leastPause/2, nil
		case <-time.After(pause/2 + rand.N(pause/2)):
		}
		pause = min(2*pause, mostPause)
	}
}

// try writes the rows of a batch once, but for what the database refuses.
func (l *writeLoop) try(batch []*entry) error {
	begun := time.Now()
	defer func() { l.metrics.flush.Observe(time.Since(begun).Seconds()) }()
	rows := make([]*row, len(batch))
	for i, e := range batch {
		rows[i] = &e.row
	}
	return l.table.writeAccepted(l.running, rows, flushLimit)
}

func refusedOf(batch []*entry) (n int) {
	for _, e := range batch {
		if e.form == formRefused {
			n++
		}
	}
	return n
}

// onRefused counts and logs a row that the database has refused.
func (w *Writer) onRefused(r *row, why error) {
	if r.form == formReduced {
		w.metrics.reduced.Inc()
	}
	logRefused(w.logger, r, why)
}
