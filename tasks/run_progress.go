package tasks

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"time"
)

const (
	// progressEvery is how often progress is stored at most.
	progressEvery = 200 * time.Millisecond
	// progressPatience is how long storing it may take.
	progressPatience = 3 * time.Second
	// MaxProgressNote bounds the note of Progress, in bytes.
	MaxProgressNote = 256
)

// Progress reports how far the running task is, to whoever looks at it: done of total, which is 0 when it is not known,
// and a note of up to MaxProgressNote bytes. It costs next to nothing, so that a tight loop may call it, from several
// goroutines at a time: the first report is stored at once and then the latest one five times a second at most, in the
// background, and the last one when the handler has returned. On a server that is not on a fetch.Fetcher none is stored at
// all.
//
// It returns ErrNoTask outside a handler; an *OptionError for values out of range; and ErrFenced when the attempt may not
// write any more, in which case the handler had better end. A report that Redis does not take is no error: a later one
// makes it good.
func Progress(ctx context.Context, done, total int64, note string) error {
	t := Current(ctx)
	if t == nil {
		return ErrNoTask
	}
	switch {
	case done < 0:
		return optionErrorf("done", "%d is below 0", done)
	case total < 0:
		return optionErrorf("total", "%d is below 0; 0 means that it is not known", total)
	case total > 0 && done > total:
		return optionErrorf("done", "%d is more than the total, %d", done, total)
	case len(note) > MaxProgressNote:
		return optionErrorf("note", "its %d bytes are more than %d", len(note), MaxProgressNote)
	}
	return t.run.progress.report(t.run, progressReport{done, total, note})
}

type progressReport struct {
	done, total int64
	note        string
}

// progress is what a handler reports of its own progress. The zero value is ready.
type progress struct {
	mu     sync.Mutex
	latest progressReport
	fresh  bool          // latest is not stored yet
	busy   bool          // a goroutine stores, or a timer will
	closed bool          // nothing is stored in the background any more
	timer  *time.Timer   // to the next time that something is stored; nil until there was a first
	stored chan struct{} // closed when what is being stored is; nil until there was a first
}

// report takes a report and sees to it that it is stored, if no later one comes first.
func (p *progress) report(a *attempt, r progressReport) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return ErrFenced
	}
	p.latest, p.fresh = r, true
	if p.busy || a.delivery == nil {
		return nil
	}
	p.busy = true
	go p.flush(a)
	return nil
}

// flush stores the latest report, and keeps others from being stored for a while.
func (p *progress) flush(a *attempt) {
	p.mu.Lock()
	if p.closed || !p.fresh {
		p.busy = false
		p.mu.Unlock()
		return
	}
	r := p.latest
	p.fresh = false
	stored := make(chan struct{})
	p.stored = stored
	p.mu.Unlock()

	err := a.store(a.ctx.Context, r)

	p.mu.Lock()
	defer p.mu.Unlock()
	close(stored)
	switch {
	case errors.Is(err, ErrFenced):
		p.closed = true
	case err != nil:
		p.fresh = true // unless there is a later one, this one again
	}
	if p.closed {
		p.busy = false
		return
	}
	if p.timer == nil {
		p.timer = time.AfterFunc(progressEvery, func() { p.flush(a) })
	} else {
		p.timer.Reset(progressEvery)
	}
}

// store has the delivery store a report.
func (a *attempt) store(ctx context.Context, r progressReport) error {
	ctx, cancel := context.WithTimeout(ctx, progressPatience)
	defer cancel()
	report := r.encode(time.Now())
	if a.encrypted() {
		report = seal(a.mux.keys, progressField, a.Name, a.ID, report)
	}
	return a.delivery.Progress(ctx, report)
}

// last stores the last report, unless that was done. The handler has returned: p is closed.
func (p *progress) last(ctx context.Context, a *attempt) {
	p.mu.Lock()
	stored := p.stored
	p.mu.Unlock()
	if stored != nil {
		<-stored
	}
	p.mu.Lock()
	r, fresh := p.latest, p.fresh
	p.mu.Unlock()
	if fresh && a.delivery != nil {
		_ = a.store(context.WithoutCancel(ctx), r) // it is for those who look on
	}
}

// close keeps everything that comes from being stored.
func (p *progress) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	if p.timer != nil {
		p.timer.Stop()
	}
}

// fenced reports whether the attempt is over, or a report was refused.
func (p *progress) fenced() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.closed
}

// encode is the report as JSON.
func (r progressReport) encode(at time.Time) []byte {
	b := make([]byte, 0, 128+len(r.note))
	b = append(b, `{"done":`...)
	b = strconv.AppendInt(b, r.done, 10)
	b = append(b, `,"total":`...)
	b = strconv.AppendInt(b, r.total, 10)
	b = append(b, `,"note":`...)
	b = appendQuoted(b, r.note)
	b = append(b, `,"at":"`...)
	b = appendMillis(b, at)
	return append(b, '"', '}')
}
