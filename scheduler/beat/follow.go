package beat

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/paidui/paidui/tasks/schedule"
	"github.com/paidui/paidui/tasks/ticks"
)

const (
	// tableEvery is how often a scheduler asks for the revision of the table.
	tableEvery = 400 * time.Millisecond
	// tableTimeout bounds one look at the table.
	tableTimeout = 5 * time.Second
	// firstLook is how long a scheduler waits at its start for the table before it announces its file alone.
	firstLook = 3 * time.Second
)

// tableState is what a scheduler knows of the table.
type tableState struct {
	is       ticks.TableIs
	snapshot schedule.Snapshot
}

// follower reads the table of schedules when its revision has changed. While the database is away, what was read last counts.
type follower struct {
	table  *schedule.Table // nil: there is no database
	logger *slog.Logger
	looked chan struct{} // closed after the first look

	mu     sync.Mutex
	state  tableState
	least  int64 // the revision that others have in force
	err    error // of the last look
	logged time.Time
	late   bool // nobody waits for the first look any more
}

func newFollower(table *schedule.Table, logger *slog.Logger) *follower {
	f := &follower{table: table, logger: logger, looked: make(chan struct{}), state: tableState{is: ticks.NoTable}}
	if table != nil {
		f.state.is = ticks.TableUnknown
	}
	return f
}

// run looks until ctx ends, and tells of each change.
func (f *follower) run(ctx context.Context, changed chan<- struct{}) {
	if f.table == nil {
		close(f.looked)
		return
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	for first := true; ; first = false {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		news := f.look(ctx)
		if first {
			close(f.looked)
			news = news && f.isLate()
		}
		if news {
			select {
			case changed <- struct{}{}:
			case <-ctx.Done():
				return
			}
		}
		timer.Reset(tableEvery)
	}
}

// giveUpFirst says that nobody waits for the first look: what it finds is then told as a change.
func (f *follower) giveUpFirst() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.late = true
}

func (f *follower) isLate() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.late
}

// current is what is known.
func (f *follower) current() tableState {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.state
}

// demand says that others have a revision in force, and reports whether that is news.
func (f *follower) demand(revision int64) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if revision <= f.least {
		return false
	}
	f.least = revision
	return true
}

// ready is an error while the table is in use and can't be read.
func (f *follower) ready() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.state.is == ticks.TableRead && f.state.snapshot.Revision > 0 || f.least > 0 {
		return f.err
	}
	return nil
}

// look reads the table if it has changed, and reports that.
func (f *follower) look(ctx context.Context) (changed bool) {
	looking, cancel := context.WithTimeout(ctx, tableTimeout)
	defer cancel()
	f.mu.Lock()
	before, least := f.state, f.least
	f.mu.Unlock()
	revision, err := f.table.Revision(looking)
	if err == nil && revision < least {
		// The revision was in force before this look began, so that the database is another one, or was restored.
		f.logger.Warn("the table of schedules is older than the schedule in force: a database that was restored, or another one; its entries count from now on",
			"revision", revision, "in_force", least)
		err = f.table.Raise(looking, least)
		revision = least + 1
	}
	after := before
	if err == nil && (before.is != ticks.TableRead || revision != before.snapshot.Revision) {
		if after.snapshot, err = f.table.Read(looking); err == nil {
			after.is, changed = ticks.TableRead, true
		}
	}
	if ctx.Err() != nil {
		return false
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if err != nil {
		f.failed(err)
		return false
	}
	if f.err != nil {
		f.logger.Info("the table of schedules can be read again")
	}
	f.err, f.logged = nil, time.Time{}
	f.state = after
	return changed
}

func (f *follower) failed(err error) {
	f.err = errors.Join(errors.New("the table of schedules can't be read"), err)
	if now := time.Now(); now.Sub(f.logged) >= outageLogInterval && (f.logged.IsZero() || f.state.is == ticks.TableRead || f.least > 0) {
		f.logged = now
		f.logger.Warn("the table of schedules can't be read: what was read last stays in force, and without that the file alone", "error", err)
	}
}
