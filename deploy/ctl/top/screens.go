package top

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/paidui/paidui/deploy/ctl/describe"
	"github.com/paidui/paidui/deploy/ctl/remote"
	"github.com/paidui/paidui/deploy/ctl/show"
)

// rows are a screen's table, with the key of each row.
type rows struct {
	show.Table
	keys []string
}

func (r *rows) add(key string, cells ...any) {
	r.keys = append(r.keys, key)
	r.Add(cells...)
}

// rows are those of the screen that is shown, filtered.
func (m *model) rows() *rows {
	switch m.tab {
	case queuesTab:
		return m.queueRows()
	case workersTab:
		return m.workerRows()
	case runningTab:
		return m.runningRows()
	default:
		return m.failureRows()
	}
}

// sparkWidth is how wide a queue's sparklines are.
func (m *model) sparkWidth() int { return max(4, min(20, (m.width-72)/2)) }

func (m *model) queueRows() *rows {
	r := &rows{Table: show.Table{Columns: []show.Column{
		{Name: "QUEUE", Least: 8}, {Name: "PENDING", Right: true}, {Name: "ACTIVE", Right: true}, {Name: "SCHED", Right: true}, {Name: "RETRY", Right: true},
		{Name: "DEAD", Right: true}, {Name: "OLDEST", Right: true}, {Name: "OUT/S", Right: true}, {Name: ""}, {Name: "WRK", Right: true}, {Name: "PAUSED", Least: 6},
		{Name: "IN/S", Right: true}, {Name: ""},
	}}}
	for _, q := range m.queues {
		if !m.matches(q.Name) {
			continue
		}
		of := m.perQueue[q.Name]
		if of == nil {
			of = &rates{}
		}
		name := show.Cell{Text: q.Name}
		if q.Paused != nil {
			name.Tone = show.Wait
		}
		r.add(q.Name, name, short(q.Pending), short(q.Active), short(q.Scheduled), short(q.Retry), show.Cell{Text: short(q.Dead), Tone: describe.Dead(q.Dead).Tone},
			describe.Oldest(q), rate(of.out), show.Cell{Text: show.Sparkline(of.out, m.sparkWidth()), Tone: show.Busy}, describe.WorkersOf(q),
			show.Cell{Text: describe.Paused(q.Paused, m.now()), Tone: show.Wait}, rate(of.in), show.Cell{Text: show.Sparkline(of.in, m.sparkWidth()), Tone: show.Faint})
	}
	return r
}

// short is a number in at most six characters.
func short(n int64) string {
	switch {
	case n < 100_000:
		return fmt.Sprint(n)
	case n < 10_000_000:
		return fmt.Sprintf("%.1fk", float64(n)/1e3)
	default:
		return fmt.Sprintf("%.1fM", float64(n)/1e6)
	}
}

// rate is the last value, in tasks a second.
func rate(values []float64) string {
	if len(values) == 0 {
		return "-"
	}
	switch last := values[len(values)-1]; {
	case last >= 100:
		return fmt.Sprintf("%.0f", last)
	case last >= 1 || last == 0:
		return fmt.Sprintf("%.1f", last)
	default:
		return fmt.Sprintf("%.2f", last)
	}
}

func (m *model) workerRows() *rows {
	r := &rows{Table: show.Table{Columns: []show.Column{
		{Name: "WORKER", Least: 10}, {Name: "HOST", Least: 6}, {Name: "PHASE"}, {Name: "RUNNING", Right: true}, {Name: "SLOTS", Right: true}, {Name: "BUSY"},
		{Name: "UP", Right: true}, {Name: "QUEUES", Least: 8}, {Name: "VERSION", Least: 7},
	}}}
	for _, w := range m.workers {
		if !m.matches(w.Name, w.Host, w.Phase, w.Version, describe.QueueWeights(w.Queues)) {
			continue
		}
		r.add(w.ID, w.Name, w.Host, show.Cell{Text: w.Phase, Tone: show.ToneOf(w.Phase)}, w.Running, w.Slots, busy(w), show.Ago(w.Since, m.now()),
			describe.QueueWeights(w.Queues), w.Version)
	}
	return r
}

// busy is how full a worker is, as a bar.
func busy(w remote.Worker) show.Cell {
	const width = 10
	if w.Slots <= 0 {
		return show.Cell{}
	}
	full := min(width, (w.Running*width+w.Slots-1)/w.Slots)
	tone := show.Good
	if w.Running >= w.Slots {
		tone = show.Wait
	}
	text := ""
	for i := range width {
		if i < full {
			text += "█"
		} else {
			text += "░"
		}
	}
	return show.Cell{Text: text, Tone: tone}
}

// running is a task that a worker runs.
type running struct {
	remote.Run
	worker string
}

func (m *model) running() (all []running) {
	for _, w := range m.workers {
		for _, run := range w.Runs {
			all = append(all, running{run, w.Name})
		}
	}
	slices.SortStableFunc(all, func(a, b running) int {
		return cmp.Or(timeOf(a.Since).Compare(timeOf(b.Since)), cmp.Compare(a.ID, b.ID))
	})
	return all
}

func timeOf(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return *t
}

func (m *model) runningRows() *rows {
	r := &rows{Table: show.Table{Columns: []show.Column{
		{Name: "FOR", Right: true}, {Name: "TASK", Least: 10}, {Name: "QUEUE", Least: 6}, {Name: "WORKER", Least: 8}, {Name: "TRY", Right: true}, {Name: "LEFT", Right: true},
		{Name: "PROGRESS", Least: 18}, {Name: "ID", Least: 8, Front: true},
	}}}
	for _, run := range m.running() {
		if !m.matches(run.Task, run.Queue, run.worker, run.ID) {
			continue
		}
		r.add(run.ID, show.Ago(run.Since, m.now()), run.Task, run.Queue, run.worker, run.Attempt, show.Until(run.Deadline, m.now()), describe.Progress(run.Progress), run.ID)
	}
	return r
}

func (m *model) failureRows() *rows {
	r := &rows{Table: show.Table{Columns: []show.Column{
		{Name: "COUNT", Right: true}, {Name: "LAST", Right: true}, {Name: "TASKS", Least: 10}, {Name: "ERROR", Least: 20},
	}}}
	for _, f := range m.failures {
		if !m.matches(f.error, f.tasks) {
			continue
		}
		r.add(f.key(), short(f.count), show.Ago(f.last, m.now()), f.tasks, show.Cell{Text: f.error, Tone: show.Bad})
	}
	return r
}
