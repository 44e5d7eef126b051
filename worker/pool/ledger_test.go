package pool_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/paidui/paidui/tasks"
	"github.com/paidui/paidui/tasks/broker"
)

// ledger sees every run of a task from within its handler, and what Redis holds of it over a connection of its own. It
// finds runs that should not be: of a task or an attempt whose acknowledgement Redis already had, or two at a time.
type ledger struct {
	direct *tasks.Client

	mu     sync.Mutex
	pages  map[string]*page
	wrongs []string

	watching sync.WaitGroup
	stop     context.CancelFunc
	ctx      context.Context
}

// page is what the ledger knows of one task.
type page struct {
	runs    int
	running bool
	ended   *tasks.Info // the final state that Redis was seen to hold
	gone    bool        // Redis was seen to have dropped it, as it does with a task that is not retained
	retries int         // failed attempts that Redis was seen to have counted
}

// newLedger looks through b, which must not share the connection under test.
func newLedger(t *testing.T, b *broker.Broker) *ledger {
	t.Helper()
	l := &ledger{direct: tasks.NewClient(b), pages: make(map[string]*page)}
	l.ctx, l.stop = context.WithCancel(t.Context())
	t.Cleanup(l.close)
	return l
}

// settle waits until Redis was seen to have what came of every run. All tasks have ended.
func (l *ledger) settle(t *testing.T) {
	t.Helper()
	settled := make(chan struct{})
	go func() {
		l.watching.Wait()
		close(settled)
	}()
	select {
	case <-settled:
	case <-time.After(time.Minute):
		t.Fatal("of some runs Redis does not have what came of them")
	}
}

// close ends the watching.
func (l *ledger) close() {
	l.mu.Lock()
	l.stop() // no watching begins from here
	l.mu.Unlock()
	l.watching.Wait()
}

// middleware keeps the ledger of every handler of a mux.
func (l *ledger) middleware(next tasks.Handler) tasks.Handler {
	return func(ctx context.Context, t *tasks.Task, args []byte) ([]byte, error) {
		l.begin(t.ID, t.Attempt)
		defer l.end(t.ID, t.Attempt)
		return next(ctx, t, args)
	}
}

func (l *ledger) begin(id string, attempt int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	p := l.pages[id]
	if p == nil {
		p = &page{}
		l.pages[id] = p
	}
	p.runs++
	switch {
	case p.running:
		l.wrong("%s: run %d begins while another goes on", id, p.runs)
	case p.gone:
		l.wrong("%s: run %d begins after Redis had dropped it as done", id, p.runs)
	case p.ended != nil:
		l.wrong("%s: run %d begins after Redis had it as %s", id, p.runs, p.ended.State)
	case attempt <= p.retries:
		l.wrong("%s: run %d is attempt %d, which Redis had counted as failed", id, p.runs, attempt)
	}
	p.running = true
}

func (l *ledger) end(id string, attempt int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.pages[id].running = false
	if l.ctx.Err() == nil {
		l.watching.Go(func() { l.watch(id, attempt) })
	}
}

// watch looks until Redis has what came of the attempt.
func (l *ledger) watch(id string, attempt int) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for pause := time.Millisecond; ; pause = min(2*pause, time.Second) {
		select {
		case <-l.ctx.Done():
			return
		case <-timer.C:
		}
		if info, err := l.direct.Info(l.ctx, id); l.note(id, attempt, info, err) {
			return
		}
		timer.Reset(pause)
	}
}

func (l *ledger) note(id string, attempt int, info *tasks.Info, err error) (settled bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	p := l.pages[id]
	switch {
	case errors.Is(err, tasks.ErrNotFound):
		p.gone = true
		return true
	case err != nil:
		return false
	case info.State.Final():
		if p.ended != nil && (p.ended.State != info.State || string(p.ended.Result) != string(info.Result)) {
			l.wrong("%s: ended as %s %s, and then as %s %s", id, p.ended.State, p.ended.Result, info.State, info.Result)
		}
		p.ended = info
		return true
	case info.Retries >= attempt:
		p.retries = max(p.retries, info.Retries)
		return true
	}
	return false
}

// wrong is called with mu held.
func (l *ledger) wrong(format string, args ...any) {
	l.wrongs = append(l.wrongs, fmt.Sprintf(format, args...))
}

// of is what is known of a task.
func (l *ledger) of(id string) page {
	l.mu.Lock()
	defer l.mu.Unlock()
	if p := l.pages[id]; p != nil {
		return *p
	}
	return page{}
}

// ids are all tasks that have run.
func (l *ledger) ids() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	ids := make([]string, 0, len(l.pages))
	for id := range l.pages {
		ids = append(ids, id)
	}
	return ids
}

// assertNothingWrong fails the test if a run began that should not have.
func (l *ledger) assertNothingWrong(t *testing.T) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	assert.Empty(t, l.wrongs)
}
