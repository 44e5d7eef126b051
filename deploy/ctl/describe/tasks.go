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

// Task is all that is known of a task, but for its attempts.
func Task(k remote.Task, now time.Time) []show.Field {
	next := ""
	if k.NextRunAt != nil && !k.Final() {
		next = fmt.Sprintf("%s (in %s)", show.Time(k.NextRunAt), show.Until(k.NextRunAt, now))
	}
	var headers []string
	for _, name := range slices.Sorted(maps.Keys(k.Headers)) {
		headers = append(headers, name+": "+k.Headers[name])
	}
	crashes := ""
	if k.Crashes > 0 {
		crashes = fmt.Sprint(k.Crashes)
	}
	return []show.Field{
		{Name: "task", Value: k.Task, Tone: show.Strong},
		{Name: "id", Value: k.ID},
		{Name: "queue", Value: strings.TrimSpace(k.Queue + " " + priority(k.Priority))},
		{Name: "state", Value: k.State, Tone: show.ToneOf(k.State)},
		{Name: "error", Value: k.Error, Tone: show.Bad},
		{Name: "alike", Value: k.ErrorGroup},
		{Name: "progress", Value: Progress(k.Progress)},
		{Name: "result", Value: JSON(k.Result)},
		{Name: "arguments", Value: JSON(k.Args)},
		{Name: "withheld", Value: k.Withheld},
		{Name: "tags", Value: strings.Join(k.Tags, " ")},
		{Name: "headers", Value: strings.Join(headers, "\n")},
		{Name: "retries", Value: fmt.Sprintf("%d of %d", k.Retries, k.MaxRetries)},
		{Name: "crashes", Value: crashes, Tone: show.Bad},
		{Name: "enqueued", Value: show.Time(k.EnqueuedAt)},
		{Name: "not before", Value: show.Time(k.ETA)},
		{Name: "expires", Value: show.Time(k.Expires)},
		{Name: "next run", Value: next},
		{Name: "started", Value: show.Time(k.StartedAt)},
		{Name: "ended", Value: show.Time(k.CompletedAt)},
		{Name: "worker", Value: k.Worker},
		{Name: "request", Value: k.RequestID},
	}
}

// Attempts is a line for each attempt that has ended.
func Attempts(k remote.Task, now time.Time) *show.Table {
	t := &show.Table{Columns: []show.Column{
		{Name: "ATTEMPT", Right: true}, {Name: "OUTCOME"}, {Name: "ENDED", Right: true}, {Name: "TOOK", Right: true}, {Name: "WORKER", Least: 8}, {Name: "ERROR", Least: 16},
	}}
	for _, a := range k.Attempts {
		took := "-"
		if a.StartedAt != nil && a.EndedAt != nil {
			took = show.Duration(a.EndedAt.Sub(*a.StartedAt))
		}
		t.Add(a.Number, a.Outcome, show.Clock(a.EndedAt, now), took, a.Worker, a.Error)
	}
	return t
}

// Tasks is one line a task: where it stands, and what is to be said of that.
func Tasks(tasks []remote.Task, now time.Time) *show.Table {
	t := &show.Table{Columns: []show.Column{
		{Name: "ID", Least: 14, Front: true}, {Name: "TASK", Least: 10}, {Name: "QUEUE", Least: 6}, {Name: "STATE"}, {Name: "ENQUEUED", Right: true},
		{Name: "TOOK", Right: true}, {Name: "RETRIES", Right: true}, {Name: "NOTE", Least: 12},
	}}
	for _, k := range tasks {
		t.Add(k.ID, k.Task, k.Queue, show.Cell{Text: k.State, Tone: show.ToneOf(k.State)}, show.Clock(k.EnqueuedAt, now), took(k, now),
			fmt.Sprintf("%d/%d", k.Retries, k.MaxRetries), Note(k, now))
	}
	return t
}

// took is how long the current or last attempt ran.
func took(k remote.Task, now time.Time) string {
	end := &now
	switch {
	case k.StartedAt == nil:
		return "-"
	case k.CompletedAt != nil:
		end = k.CompletedAt
	case k.State == "FAILURE" && k.FailedAt != nil:
		end = k.FailedAt
	case k.State != "STARTED" && k.State != "PROGRESS":
		return "-"
	}
	return show.Duration(end.Sub(*k.StartedAt))
}

// Note is what is to be said of where a task stands.
func Note(k remote.Task, now time.Time) string {
	switch {
	case k.Error != "":
		return k.Error
	case k.State == "PROGRESS":
		return Progress(k.Progress)
	case k.State == "SUCCESS":
		return JSON(k.Result)
	case k.NextRunAt != nil && !k.Final():
		return "runs in " + show.Until(k.NextRunAt, now)
	}
	return ""
}

// JSON is a JSON value on one line; "" of null.
func JSON(raw []byte) string {
	if text := string(raw); text != "null" {
		return text
	}
	return ""
}

func priority(p string) string {
	if p == "" || p == "normal" {
		return ""
	}
	return "(" + p + ")"
}
