package history

import "time"

// entry is a row that waits to be written.
type entry struct {
	row
	size  int
	since time.Time // when the first record of the row came
	late  bool      // its place is in the queue of rows that have not ended
	gone  bool      // taken or dropped
}

// buffer holds one row for each task that has news, in the order in which they came. It is not safe for concurrent use.
type buffer struct {
	rows  map[string]*entry
	ended queue // of tasks that have ended
	open  queue // of the others: most are overtaken by the end of their task, here or in another process
	late  int   // how many these are
	bytes int
}

func newBuffer() *buffer { return &buffer{rows: make(map[string]*entry)} }

// add joins the row with the one that waits for the same task.
func (b *buffer) add(r row, now time.Time) {
	e, waits := b.rows[r.id]
	if !waits {
		e = &entry{row: r, size: r.size(), since: now, late: !r.hasEnded()}
		b.rows[r.id] = e
		b.bytes += e.size
		if e.late {
			b.late++
			b.open.push(e)
		} else {
			b.ended.push(e)
		}
		return
	}
	e.row = merge(e.row, r)
	b.bytes -= e.size
	e.size = e.row.size()
	b.bytes += e.size
	if e.late && e.hasEnded() {
		e.late = false // its place in the other queue is skipped
		b.late--
		b.ended.push(e)
	}
}

// take removes rows that are due, up to n of them or a little more than size bytes, open ones first. Their bytes stay
// counted until release.
func (b *buffer) take(due func(*entry) bool, n, size int) []*entry {
	var batch []*entry
	for _, q := range []*queue{&b.open, &b.ended} {
		for len(batch) < n && size > 0 {
			e := q.first(q == &b.open)
			if e == nil || !due(e) {
				break
			}
			q.pop()
			b.forget(e)
			batch = append(batch, e)
			size -= e.size
		}
	}
	return batch
}

// release gives back what the rows of a batch took.
func (b *buffer) release(batch []*entry) {
	for _, e := range batch {
		b.bytes -= e.size
	}
}

// drop removes the oldest row, and tells whether there was one.
func (b *buffer) drop() bool {
	open, ended := b.open.first(true), b.ended.first(false)
	q, e := &b.ended, ended
	if e == nil || open != nil && open.since.Before(e.since) {
		q, e = &b.open, open
	}
	if e == nil {
		return false
	}
	q.pop()
	b.forget(e)
	b.bytes -= e.size
	return true
}

// forget takes note that a row has left its queue.
func (b *buffer) forget(e *entry) {
	e.gone = true
	delete(b.rows, e.id)
	if e.late {
		b.late--
	}
}

// queue is first in, first out.
type queue struct {
	entries []*entry
	head    int
}

func (q *queue) push(e *entry) { q.entries = append(q.entries, e) }

// first is the oldest entry that still has its place in this queue, nil without one.
func (q *queue) first(late bool) *entry {
	for q.head < len(q.entries) {
		if e := q.entries[q.head]; !e.gone && e.late == late {
			return e
		}
		q.pop()
	}
	return nil
}

func (q *queue) pop() {
	q.entries[q.head] = nil
	q.head++
	if q.head == len(q.entries) {
		q.entries, q.head = q.entries[:0], 0
	} else if q.head > len(q.entries)/2 && q.head > 1024 { // which keeps the copying in proportion
		n := copy(q.entries, q.entries[q.head:])
		clear(q.entries[n:])
		q.entries, q.head = q.entries[:n], 0
	}
}
