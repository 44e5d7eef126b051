package tasks

import (
	"encoding/json"
	"time"
)

// State is where a task stands, in Celery's words.
type State string

const (
	StatePending  State = "PENDING"  // waiting in its queue, or for its time
	StateStarted  State = "STARTED"  // a worker runs it
	StateProgress State = "PROGRESS" // a worker runs it and has reported progress
	StateRetry    State = "RETRY"    // an attempt failed or snoozed; the next one has a time
	StateSuccess  State = "SUCCESS"  // it returned a result
	StateFailure  State = "FAILURE"  // it failed for good
	StateRevoked  State = "REVOKED"  // it was revoked or expired: it did not run, or was made to end

	// StateLost is the history's alone: the task was not known to have ended, and Redis has forgotten it. It has ended,
	// or was lost, without a trace.
	StateLost State = "LOST"
)

// Final reports whether a task in this state has ended, as far as anyone can know.
func (s State) Final() bool {
	return s == StateSuccess || s == StateFailure || s == StateRevoked || s == StateLost
}

// Info is what is known of one task. A nil time has not come or does not apply.
type Info struct {
	ID           string            `json:"id"`
	Task         string            `json:"task"`
	Queue        string            `json:"queue"`
	State        State             `json:"state"`
	Args         json.RawMessage   `json:"args,omitempty"`
	Result       json.RawMessage   `json:"result"`                // the handler's, null until SUCCESS
	Error        string            `json:"error"`                 // the last attempt's, or why the task was revoked; "" without one
	ErrorGroup   string            `json:"error_group,omitempty"` // of a FAILURE as the history knows it: its errors of one kind
	Withheld     string            `json:"withheld,omitempty"`    // why values are left out that can't be decrypted here, "" when none are
	Progress     *Reported         `json:"progress"`              // what the current or last attempt has reported, nil without
	Retries      int               `json:"retries"`
	MaxRetries   int               `json:"max_retries"`
	Crashes      int               `json:"crashes"`            // runs that ended with the death of their worker
	Attempts     []Attempt         `json:"attempts"`           // those that have ended, oldest first: the latest 24 KiB at least
	Priority     string            `json:"priority,omitempty"` // high, normal or low; "" where the history alone knows of the task
	Tags         []string          `json:"tags"`
	Headers      map[string]string `json:"headers,omitempty"` // the caller's own
	Worker       string            `json:"worker,omitempty"`  // that runs it, or ran it last
	RequestID    string            `json:"request_id,omitempty"`
	History      HistoryMode       `json:"-"` // what the history may keep of it
	EnqueuedAt   *time.Time        `json:"enqueued_at"`
	ETA          *time.Time        `json:"eta"`
	Expires      *time.Time        `json:"expires"`
	StartedAt    *time.Time        `json:"started_at"`  // when the current or last attempt began
	NextRunAt    *time.Time        `json:"next_run_at"` // when a scheduled task or a retry is due
	LastFailedAt *time.Time        `json:"last_failed_at"`
	CompletedAt  *time.Time        `json:"completed_at"`

	progress []byte // encrypted
}

// Reported is how far an attempt says it is.
type Reported struct {
	Done  int64     `json:"done"`
	Total int64     `json:"total"` // 0 when not known
	Note  string    `json:"note"`
	At    time.Time `json:"at"`
}

// Attempt is one run of a task that has ended.
type Attempt struct {
	Number    int       `json:"number"` // 1 for the first; one that did not count, as a crash, shares its number with the next
	Worker    string    `json:"worker,omitempty"`
	StartedAt time.Time `json:"started_at,omitzero"`
	EndedAt   time.Time `json:"ended_at"`
	Outcome   string    `json:"outcome"` // success, retry, snooze, failure, revoked, crash or interrupted
	Error     string    `json:"error,omitempty"`
}
