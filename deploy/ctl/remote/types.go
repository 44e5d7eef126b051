package remote

import (
	"encoding/json"
	"time"
)

// What the API answers with, as far as the commands show it: see openapi.yaml.

// Queue is how a queue stands.
type Queue struct {
	Name       string  `json:"name"`
	Paused     *Pause  `json:"paused"`
	Pending    int64   `json:"pending"`
	Active     int64   `json:"active"`
	Scheduled  int64   `json:"scheduled"`
	Retry      int64   `json:"retry"`
	Dead       int64   `json:"dead"`
	Completed  int64   `json:"completed"`
	OldestWait float64 `json:"oldest_wait"` // seconds
	In         int64   `json:"in_last_minute"`
	Out        int64   `json:"out_last_minute"`
	Workers    int     `json:"workers"`
	Memory     *int64  `json:"memory"`
	MaxLength  int64   `json:"max_length"`
	ByPriority struct {
		High   int64 `json:"high"`
		Normal int64 `json:"normal"`
		Low    int64 `json:"low"`
	} `json:"by_priority"`
}

// Pause is who paused a queue.
type Pause struct {
	Since *time.Time `json:"since"`
	By    string     `json:"by"`
}

// Worker is a worker's process.
type Worker struct {
	ID        string         `json:"id"`
	Name      string         `json:"name"`
	Host      string         `json:"host"`
	PID       int            `json:"pid"`
	Version   string         `json:"version"`
	Since     *time.Time     `json:"since"`
	LastSeen  *time.Time     `json:"last_seen_at"`
	Phase     string         `json:"phase"`
	Queues    map[string]int `json:"queues"`
	Slots     int            `json:"slots"`
	Running   int            `json:"running"`
	Runs      []Run          `json:"runs"`
	TaskTypes []string       `json:"task_types"`
	LogLevel  string         `json:"log_level"`
	Commands  bool           `json:"commands"`
}

// Run is a task that a worker runs.
type Run struct {
	ID       string     `json:"id"`
	Task     string     `json:"task"`
	Queue    string     `json:"queue"`
	Attempt  int        `json:"attempt"`
	Since    *time.Time `json:"since"`
	Deadline *time.Time `json:"deadline"`
	Progress *Progress  `json:"progress"`
}

// Progress is what a task reports.
type Progress struct {
	Done  int64      `json:"done"`
	Total int64      `json:"total"`
	Note  string     `json:"note"`
	At    *time.Time `json:"at"`
}

// Task is where a task stands.
type Task struct {
	ID          string            `json:"id"`
	Task        string            `json:"task"`
	Queue       string            `json:"queue"`
	State       string            `json:"state"`
	Args        json.RawMessage   `json:"args"`
	Result      json.RawMessage   `json:"result"`
	Error       string            `json:"error"`
	ErrorGroup  string            `json:"error_group"`
	Withheld    string            `json:"withheld"`
	Progress    *Progress         `json:"progress"`
	Retries     int               `json:"retries"`
	MaxRetries  int               `json:"max_retries"`
	Crashes     int               `json:"crashes"`
	Attempts    []Attempt         `json:"attempts"`
	Priority    string            `json:"priority"`
	Tags        []string          `json:"tags"`
	Headers     map[string]string `json:"headers"`
	Worker      string            `json:"worker"`
	RequestID   string            `json:"request_id"`
	EnqueuedAt  *time.Time        `json:"enqueued_at"`
	ETA         *time.Time        `json:"eta"`
	Expires     *time.Time        `json:"expires"`
	StartedAt   *time.Time        `json:"started_at"`
	NextRunAt   *time.Time        `json:"next_run_at"`
	FailedAt    *time.Time        `json:"last_failed_at"`
	CompletedAt *time.Time        `json:"completed_at"`
}

// Final tells whether the task has ended.
func (t Task) Final() bool {
	switch t.State {
	case "SUCCESS", "FAILURE", "REVOKED", "LOST":
		return true
	}
	return false
}

// Attempt is one that has ended.
type Attempt struct {
	Number    int        `json:"number"`
	Worker    string     `json:"worker"`
	StartedAt *time.Time `json:"started_at"`
	EndedAt   *time.Time `json:"ended_at"`
	Outcome   string     `json:"outcome"`
	Error     string     `json:"error"`
}

// Why is why a task does not run, or what ended it.
type Why struct {
	ID      string   `json:"id"`
	Task    string   `json:"task"`
	Queue   string   `json:"queue"`
	State   string   `json:"state"`
	Reasons []Reason `json:"reasons"`
}

// Reason is one that holds.
type Reason struct {
	Code    string     `json:"code"`
	Subject string     `json:"subject"`
	Since   *time.Time `json:"since"`
	Until   *time.Time `json:"until"`
	Message string     `json:"message"`
	Advice  string     `json:"advice"`
	Error   string     `json:"error"`
	Tasks   []struct {
		ID     string     `json:"id"`
		Task   string     `json:"task"`
		Worker string     `json:"worker"`
		Since  *time.Time `json:"since"`
	} `json:"tasks"`
}

// Failures are failures of one normalised error.
type Failures struct {
	ErrorGroup string     `json:"error_group"`
	Error      string     `json:"error"`
	Count      int64      `json:"count"`
	FirstSeen  *time.Time `json:"first_seen"`
	LastSeen   *time.Time `json:"last_seen"`
	Tasks      []struct {
		Task  string `json:"task"`
		Count int64  `json:"count"`
	} `json:"tasks"`
	Versions []struct {
		Version string `json:"version"`
		Count   int64  `json:"count"`
	} `json:"versions"`
	Example *Task `json:"example"`
}

// Filter is which tasks a bulk is about, and what GET /v1/tasks takes.
type Filter struct {
	State      string `json:"state,omitempty"`
	Task       string `json:"task,omitempty"`
	Queue      string `json:"queue,omitempty"`
	Tag        string `json:"tag,omitempty"`
	Since      string `json:"since,omitempty"`
	Until      string `json:"until,omitempty"`
	Q          string `json:"q,omitempty"`
	ErrorGroup string `json:"error_group,omitempty"`
	All        bool   `json:"all,omitempty"`
}

// BulkRequest has an action done to all tasks of a filter.
type BulkRequest struct {
	Filter   Filter `json:"filter"`
	Action   string `json:"action"`
	Priority string `json:"priority,omitempty"` // of priority

	Terminate bool `json:"terminate,omitempty"` // with revoke: what runs is told to end
	DryRun    bool `json:"dry_run,omitempty"`
}

// DryRun is what a bulk would do.
type DryRun struct {
	Matched  int64  `json:"matched"`
	More     bool   `json:"more"` // matched is as far as was counted
	Examples []Task `json:"examples"`
}

// Bulk is how far one has come.
type Bulk struct {
	ID         string     `json:"id"`
	Action     string     `json:"action"`
	Filter     Filter     `json:"filter"`
	By         string     `json:"by"`
	State      string     `json:"state"`
	LookedAt   int64      `json:"looked_at"`
	Done       int64      `json:"done"`
	Skipped    int64      `json:"skipped"`
	Gone       int64      `json:"gone"` // of those skipped
	Failed     int64      `json:"failed"`
	StartedAt  *time.Time `json:"started_at"`
	FinishedAt *time.Time `json:"finished_at"`
	Error      string     `json:"error"`
	Failures   []struct {
		ID    string `json:"id"`
		Error string `json:"error"`
	} `json:"failures"`
}

// Schedule is an entry of the schedules. An API of before knows the first eight and the ticks.
type Schedule struct {
	Name         string            `json:"name"`
	Task         string            `json:"task"`
	Queue        string            `json:"queue"`
	Spec         string            `json:"spec"`
	Timezone     string            `json:"timezone"`
	Paused       bool              `json:"paused"`
	NextTick     *time.Time        `json:"next_tick"`
	LastTick     *time.Time        `json:"last_tick"`
	LastTaskID   string            `json:"last_task_id"`
	Source       string            `json:"source"` // file or table
	Override     *ScheduleOverride `json:"override"`
	InForce      *bool             `json:"in_force"`
	Shadows      bool              `json:"shadows"`
	ChangedBy    string            `json:"changed_by"`
	ChangedAt    *time.Time        `json:"changed_at"`
	Misfire      string            `json:"misfire"`
	Overlap      string            `json:"overlap"`
	OverlapLimit int               `json:"overlap_limit"`
	MaxTicks     int64             `json:"max_ticks"`
	Ticks        int64             `json:"ticks"`
	Durable      bool              `json:"durable"`
	Problem      string            `json:"problem"`
	Entry        json.RawMessage   `json:"entry"`
}

// ScheduleOverride is what an operator has changed of an entry of the file.
type ScheduleOverride struct {
	Paused  *bool      `json:"paused"`
	Changed bool       `json:"changed"`
	By      string     `json:"by"`
	At      *time.Time `json:"at"`
}

// Tick is one of a schedule.
type Tick struct {
	Due        *time.Time `json:"due"`
	EnqueuedAt *time.Time `json:"enqueued_at"`
	Lateness   *float64   `json:"lateness_s"`
	TaskID     string     `json:"task_id"`
	State      string     `json:"state"`
	Skipped    string     `json:"skipped"` // why; "" when it was not
	Ticks      int64      `json:"ticks"`   // how many were left out together
	Manual     bool       `json:"manual"`
}

// Preview is the next ticks of a rule.
type Preview struct {
	Ticks   []time.Time `json:"ticks"`
	Words   string      `json:"words"`
	Changes []struct {
		At         *time.Time      `json:"at"`
		FromOffset json.RawMessage `json:"from_offset"`
		ToOffset   json.RawMessage `json:"to_offset"`
	} `json:"changes"`
}

// Act is one of the audit log.
type Act struct {
	At        *time.Time `json:"at"`
	Who       string     `json:"who"`
	Role      string     `json:"role"`
	What      string     `json:"what"`
	Subject   string     `json:"subject"`
	Outcome   string     `json:"outcome"`
	Status    int        `json:"status"`
	Message   string     `json:"message"`
	TaskID    string     `json:"task_id"`
	RequestID string     `json:"request_id"`
	Address   string     `json:"address"`
}

// Ping is a worker's sign of life.
type Ping struct {
	ID        string   `json:"id"`
	Name      string   `json:"name"`
	RoundTrip *float64 `json:"round_trip_ms"`
	Error     string   `json:"error"`
}

// TaskType is one of the catalog.
type TaskType struct {
	Name   string          `json:"name"`
	Queue  string          `json:"queue"`
	Schema json.RawMessage `json:"schema"`
}
