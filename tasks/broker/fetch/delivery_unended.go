package fetch

import (
	"encoding/json"
	"time"

	"github.com/paidui/paidui/tasks/broker"
)

// The errors of attempts that did not come to an end of their own.
const (
	WorkerDied  = "the worker died, or lost the broker, while it ran the task"
	WorkerEnded = "the worker ended, and put the task back that it still ran"
)

// unended is the record of such an attempt, in the form of Delivery.Record.
type unended struct {
	Number    int    `json:"number"`
	Worker    string `json:"worker"`
	StartedAt string `json:"started_at,omitempty"`
	EndedAt   string `json:"ended_at"`
	Outcome   string `json:"outcome"`
	Error     string `json:"error"`
}

// recordTime is how records of attempts write times.
const recordTime = "2006-01-02T15:04:05.000Z07:00"

// unendedRecord is that of the attempt at a task that is active.
func unendedRecord(task *broker.StoredTask, outcome, why string) ([]byte, error) {
	record := unended{
		Number: task.Retried + 1, Worker: task.Worker, EndedAt: time.Now().UTC().Format(recordTime),
		Outcome: outcome, Error: why,
	}
	if !task.Began.IsZero() {
		record.StartedAt = task.Began.UTC().Format(recordTime)
	}
	return json.Marshal(record)
}
