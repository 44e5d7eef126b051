package describe

import (
	"fmt"
	"time"

	"github.com/paidui/paidui/deploy/ctl/remote"
	"github.com/paidui/paidui/deploy/ctl/show"
)

// Queue is all that is known of a queue.
func Queue(q remote.Queue, now time.Time) []show.Field {
	memory := "not known"
	if q.Memory != nil {
		memory = "about " + show.Bytes(*q.Memory)
	}
	paused := "no"
	if q.Paused != nil {
		paused = Paused(q.Paused, now)
	}
	bound := "none"
	if q.MaxLength > 0 {
		bound = show.Count(q.MaxLength) + " pending"
	}
	return []show.Field{
		{Name: "queue", Value: q.Name, Tone: show.Strong},
		{Name: "paused", Value: paused},
		{Name: "pending", Value: fmt.Sprintf("%s (high %s, normal %s, low %s)", show.Count(q.Pending),
			show.Count(q.ByPriority.High), show.Count(q.ByPriority.Normal), show.Count(q.ByPriority.Low))},
		{Name: "active", Value: show.Count(q.Active)},
		{Name: "scheduled", Value: show.Count(q.Scheduled)},
		{Name: "retry", Value: show.Count(q.Retry)},
		{Name: "dead", Value: show.Count(q.Dead), Tone: Dead(q.Dead).Tone},
		{Name: "completed", Value: show.Count(q.Completed)},
		{Name: "oldest wait", Value: Oldest(q)},
		{Name: "last minute", Value: fmt.Sprintf("%s in, %s out", show.Count(q.In), show.Count(q.Out))},
		{Name: "workers", Value: fmt.Sprint(q.Workers), Tone: WorkersOf(q).Tone},
		{Name: "memory", Value: memory},
		{Name: "bound", Value: bound},
	}
}

// Dead is how many dead letters there are.
func Dead(n int64) show.Cell {
	c := show.Cell{Text: show.Count(n)}
	if n > 0 {
		c.Tone = show.Bad
	}
	return c
}

// Oldest is how long the oldest task waits that is due.
func Oldest(q remote.Queue) string {
	if q.OldestWait <= 0 {
		return "-"
	}
	return show.Duration(time.Duration(q.OldestWait * float64(time.Second)))
}

// WorkersOf is how many workers a queue has; it stands out when its tasks wait for one.
func WorkersOf(q remote.Queue) show.Cell {
	c := show.Cell{Text: fmt.Sprint(q.Workers)}
	if q.Workers == 0 && q.Pending > 0 {
		c.Tone = show.Bad
	}
	return c
}

// Paused is since when, and by whom, a queue is paused; "" when it is not.
func Paused(p *remote.Pause, now time.Time) string {
	if p == nil {
		return ""
	}
	text := "yes"
	if p.Since != nil {
		text = show.Ago(p.Since, now)
	}
	if p.By != "" {
		text += " by " + p.By
	}
	return text
}
