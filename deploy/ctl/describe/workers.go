package describe

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/paidui/paidui/deploy/ctl/remote"
	"github.com/paidui/paidui/deploy/ctl/show"
)

// Worker is all that is known of a worker, but for what it runs.
func Worker(w remote.Worker, now time.Time) []show.Field {
	commands := "yes"
	if !w.Commands {
		commands = "no: it is of an earlier build"
	}
	return []show.Field{
		{Name: "worker", Value: w.Name, Tone: show.Strong},
		{Name: "id", Value: w.ID},
		{Name: "host", Value: fmt.Sprintf("%s, pid %d", w.Host, w.PID)},
		{Name: "version", Value: w.Version},
		{Name: "up", Value: show.Ago(w.Since, now) + ", last seen " + show.Ago(w.LastSeen, now) + " ago"},
		{Name: "phase", Value: w.Phase, Tone: show.ToneOf(w.Phase)},
		{Name: "slots", Value: fmt.Sprintf("%d, %d running", w.Slots, w.Running)},
		{Name: "queues", Value: QueueWeights(w.Queues)},
		{Name: "log level", Value: w.LogLevel},
		{Name: "takes commands", Value: commands},
		{Name: "tasks", Value: strings.Join(w.TaskTypes, " ")},
	}
}

// Runs is a line for each task that a worker runs.
func Runs(runs []remote.Run, now time.Time) *show.Table {
	t := &show.Table{Columns: []show.Column{
		{Name: "RUNS", Least: 12, Front: true}, {Name: "TASK", Least: 10}, {Name: "QUEUE", Least: 6}, {Name: "FOR", Right: true}, {Name: "ATTEMPT", Right: true},
		{Name: "LEFT", Right: true}, {Name: "PROGRESS", Least: 8},
	}}
	for _, r := range runs {
		t.Add(r.ID, r.Task, r.Queue, show.Ago(r.Since, now), r.Attempt, show.Until(r.Deadline, now), Progress(r.Progress))
	}
	return t
}

// QueueWeights is queues with their weights, the heaviest first.
func QueueWeights(queues map[string]int) string {
	names := slices.SortedFunc(maps.Keys(queues), func(a, b string) int {
		if queues[a] != queues[b] {
			return queues[b] - queues[a]
		}
		return strings.Compare(a, b)
	})
	for i, name := range names {
		names[i] = fmt.Sprintf("%s:%d", name, queues[name])
	}
	return strings.Join(names, ",")
}

// Progress is "2 of 25 (8%) 2026-09".
func Progress(p *remote.Progress) string {
	if p == nil {
		return ""
	}
	text := show.Count(p.Done)
	if p.Total > 0 {
		text += fmt.Sprintf(" of %s (%d%%)", show.Count(p.Total), 100*min(p.Done, p.Total)/p.Total)
	}
	return strings.TrimSpace(text + " " + p.Note)
}
