package schedule

import (
	"encoding/json"
	"fmt"
	"time"
)

// CodeEntry is a periodic task that a program has in its code. What it has to be is what a file's entry has to be: beat.New and Load
// refuse it with the words of a file.
type CodeEntry struct {
	Name     string        // 1 to 64 letters, digits, '.', '_' or '-'
	Task     string        // its name in the catalog
	Args     any           // written as JSON; nil: none
	Every    time.Duration // either this, whole seconds
	Cron     string        // or this
	Timezone string        // of Cron; the program's when empty
	Queue    string        // instead of the task's own
	Misfire  Misfire       // once when empty
	Durable  bool          // kept in the database until it has ended
	Paused   bool
}

// Content is what a file with the entries would hold, for beat.Options.Content.
func Content(entries ...CodeEntry) ([]byte, error) {
	type line struct {
		Name     string `json:"name"`
		Task     string `json:"task"`
		Args     any    `json:"args,omitempty"`
		Every    string `json:"every,omitempty"`
		Cron     string `json:"cron,omitempty"`
		Timezone string `json:"timezone,omitempty"`
		Queue    string `json:"queue,omitempty"`
		Misfire  string `json:"misfire,omitempty"`
		Durable  bool   `json:"durable,omitempty"`
		Paused   bool   `json:"paused,omitempty"`
	}
	list := make([]line, len(entries))
	for i, e := range entries {
		list[i] = line{
			Name: e.Name, Task: e.Task, Args: e.Args, Cron: e.Cron, Timezone: e.Timezone, Queue: e.Queue,
			Misfire: string(e.Misfire), Durable: e.Durable, Paused: e.Paused,
		}
		if e.Every != 0 {
			list[i].Every = e.Every.String()
		}
	}
	content, err := json.Marshal(map[string]any{"schedules": list}) // which is YAML, too
	if err != nil {
		return nil, fmt.Errorf("the schedules of the program: %w", err)
	}
	return content, nil
}
