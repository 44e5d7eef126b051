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
	StateRetry    State = "RETRY"    // an attempt failed; the next one has a time
	StateSuccess  State = "SUCCESS"  // it returned a result
	StateFailure  State = "FAILURE"  // it failed for good
	StateRevoked  State = "REVOKED"  // it ended without running
)

// Final reports whether a task in this state has ended.
func (s State) Final() bool { return s == StateSuccess || s == StateFailure || s == StateRevoked }

// Info is what is known of one task. A nil time has not come or does not apply.
type Info struct {
	ID           string          `json:"id"`
	Task         string          `json:"task"`
	Queue        string          `json:"queue"`
	State        State           `json:"state"`
	Args         json.RawMessage `json:"args,omitempty"`
	Result       json.RawMessage `json:"result"` // the handler's, null until SUCCESS
	Error        string          `json:"error"`  // the last attempt's, or why the task was revoked; "" without one
	Retries      int             `json:"retries"`
	MaxRetries   int             `json:"max_retries"`
	RequestID    string          `json:"request_id,omitempty"`
	EnqueuedAt   *time.Time      `json:"enqueued_at"`
	ETA          *time.Time      `json:"eta"`
	Expires      *time.Time      `json:"expires"`
	NextRunAt    *time.Time      `json:"next_run_at"` // when a scheduled task or a retry is due
	LastFailedAt *time.Time      `json:"last_failed_at"`
	CompletedAt  *time.Time      `json:"completed_at"`
}
