package beat

import (
	"context"
	"errors"
	"time"

	"github.com/paidui/paidui/tasks/schedule"
	"github.com/paidui/paidui/tasks/ticks"
)

// planned is a schedule that is to be in force, and what it is made of.
type planned struct {
	*Schedule
	file     *Schedule
	table    ticks.TableIs
	revision int64
	sameFile bool // only the table has changed
}

// mark adds to a plan what it is made of.
func (p *planned) mark(plan ticks.Plan) ticks.Plan {
	plan.Hash, plan.File, plan.Table, plan.Revision, plan.SameFile = p.Hash(), p.file.Hash(), p.table, p.revision, p.sameFile
	plan.LeftOut = p.LeftOut()
	return plan
}

// ledger is that of durable entries, nil without a database.
func (b *Beat) ledger() *ticks.Ledger {
	if b.opt.Ledger != nil {
		return b.opt.Ledger
	}
	if b.opt.Table != nil && b.opt.Table.DB() != nil {
		return ticks.NewLedger(b.opt.Table.DB())
	}
	return nil
}

// plan makes the schedule of a file and of what is known of the table.
func (b *Beat) plan(file *Schedule) *planned {
	table := b.table.current()
	p := &planned{Schedule: file, file: file, table: table.is, revision: table.snapshot.Revision}
	if table.is == ticks.TableRead {
		reader := schedule.ReaderOf(b.opt.Catalog, b.opt.Client, b.opt.Location)
		reader.NoDatabase = b.ledger() == nil
		merged, errs := reader.Merge(file, table.snapshot)
		p.Schedule = merged
		for _, err := range errs {
			b.opt.Logger.Error("an entry of the table of schedules can't be run here: it is left out, and the others go on", "error", err)
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	p.sameFile = b.told == file
	return p
}

// tidy drops what the file in force has overtaken of the table.
func (b *Beat) tidy(ctx context.Context, s *planned) {
	asking, cancel := context.WithTimeout(ctx, forgetTimeout)
	defer cancel()
	dropped, err := b.opt.Table.Tidy(asking, s.file, func() error { return b.stillInForce(asking, s) })
	switch {
	case err == nil && len(dropped) > 0:
		b.opt.Logger.Info("the file of schedules has changed or lost entries: what operators had changed of them is gone, but for the pauses of those that are left",
			"schedules", dropped)
	case err != nil && ctx.Err() == nil && !errors.Is(err, errSuperseded):
		b.opt.Logger.Warn("what the file has overtaken stays in the table of schedules: the next start or change tries it again", "error", err)
	}
}

// stillInForce is an error when another schedule is in force.
func (b *Beat) stillInForce(ctx context.Context, s *planned) error {
	presence, err := b.store.Present(ctx, s.mark(ticks.Plan{}))
	if err == nil && presence != ticks.InForce {
		err = errSuperseded
	}
	return err
}

// awaitTable waits for the first look at the table, so that what operators have changed holds from the first tick on.
func (b *Beat) awaitTable(ctx context.Context) {
	timer := time.NewTimer(firstLook)
	defer timer.Stop()
	select {
	case <-b.table.looked:
	case <-timer.C:
		b.table.giveUpFirst()
	case <-ctx.Done():
	}
}
