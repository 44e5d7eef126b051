package beat

import (
	"time"

	"github.com/paidui/paidui/tasks"
	"github.com/paidui/paidui/tasks/schedule"
	"github.com/paidui/paidui/tasks/ticks"
)

// What a schedule is, is in package schedule.
type (
	// Schedule is a file of entries, checked against the catalog.
	Schedule = schedule.Schedule
	// Entry is a periodic task that a program has in its code.
	Entry = schedule.CodeEntry
	// LoadError is all that is wrong with a file of schedules, by line.
	LoadError = schedule.LoadError
	// Problem is one mistake in a file of schedules.
	Problem = schedule.Problem
	// Misfire says what becomes of ticks that were missed.
	Misfire = schedule.Misfire
)

// The values of Misfire.
const (
	MisfireSkip = schedule.MisfireSkip
	MisfireOnce = schedule.MisfireOnce
	MisfireAll  = schedule.MisfireAll
)

// Content is what a file with the entries would hold, for Options.Content.
func Content(entries ...Entry) ([]byte, error) { return schedule.Content(entries...) }

// Load reads a file of schedules: see schedule.Load.
func Load(path string, cat *tasks.Catalog, defaultTZ *time.Location) (*Schedule, error) {
	return schedule.Load(path, cat, defaultTZ)
}

// loadFor is Load as a scheduler does it: an entry without a queue goes where the client sends its task.
func loadFor(opt Options) (*Schedule, error) {
	content := opt.Content
	if opt.Path != "" {
		var err error
		if content, err = schedule.ReadFile(opt.Path); err != nil {
			return nil, err
		}
	}
	return parseFor(opt, content)
}

func parseFor(opt Options, content []byte) (*Schedule, error) {
	r := schedule.ReaderOf(opt.Catalog, opt.Client, opt.Location)
	r.NoDatabase = opt.Ledger == nil
	return r.Read(opt.Path, content)
}

// NeedsDatabase reports whether an entry of the schedule, which must be right but for that, is durable. Options.Ledger need
// not be set yet.
func NeedsDatabase(opt Options) (bool, error) {
	opt.Ledger = new(ticks.Ledger)
	s, err := loadFor(opt)
	return err == nil && s.Durable(), err
}

// planOf is the schedule as other programs see it.
func planOf(s *Schedule, now time.Time) ticks.Plan {
	p := ticks.Plan{Hash: s.Hash()}
	for _, e := range s.Entries() {
		a := announced(e)
		if !e.Paused {
			a.Next = e.Rule.Next(now)
		}
		a.Since = sinceOf(e, now)
		p.Entries = append(p.Entries, a)
	}
	return p
}

// announced is an entry as other programs see it. Arguments are not in it.
func announced(e schedule.Entry) ticks.Entry {
	a := ticks.Entry{
		Name: e.Name, Task: e.Task.Name(), Queue: e.Queue, Spec: e.Rule.String(),
		Timezone: e.Location.String(), Paused: e.Paused, Rule: e.RuleID(),
		Source: e.Source, Base: e.Base, OwnPaused: e.OwnPaused, Shadows: e.Shadows, By: e.By, Misfire: string(e.Misfire),
		Overlap: string(e.Overlap), OverlapLimit: e.OverlapLimit, MaxTicks: e.MaxTicks, Durable: e.Options.Durable,
	}
	if e.MaxTicks > 0 {
		a.CountOf = e.CountID()
	}
	if o := e.Override; o != nil {
		a.Override = &ticks.Override{Paused: o.Paused, Changed: o.Changed, By: o.By, At: o.At}
	}
	if e.Source == schedule.SourceTable && !e.Since.IsZero() {
		a.At = &e.Since
	}
	return a
}

// Ticks since an entry's change that were enqueued already are refused by their ids, for as long as their tasks are retained.
const (
	recent       = 10 * time.Minute   // as the tasks of any tick are: see retention
	recentSingle = 6 * 24 * time.Hour // as that of an entry's last tick is
)

// sinceOf is from when on the ticks of a changed entry count, although no scheduler knew it; zero when that is too long ago to be safe.
func sinceOf(e schedule.Entry, now time.Time) time.Time {
	if e.Since.IsZero() {
		return time.Time{}
	}
	within := recent
	if first := e.Rule.Next(e.Since); !first.IsZero() && e.Rule.Next(first).IsZero() {
		within = recentSingle
	}
	if now.Sub(e.Since) > within {
		return time.Time{}
	}
	return e.Since
}
