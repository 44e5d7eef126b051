package broker

import (
	"time"

	"github.com/paidui/paidui/tasks/broker/internal/format"
)

// Message is a task on its way into a queue. Its fields are not checked here; all text must be UTF-8, or no worker can
// read the task.
type Message struct {
	Queue, ID, Task string
	Chosen          bool // whether the ID was not made for this task: then no queue may have it already
	Payload         []byte
	Headers         []Header
	MaxRetry        int           // asynq's limit
	Timeout         time.Duration // whole seconds, at least one
	Retention       time.Duration // whole seconds
	At              time.Time     // whole seconds; zero is now
	Priority        Priority
	Tags            []string      // each without a space
	UniqueFor       time.Duration // until the task ends, at most so long; whole seconds, 0 is not unique
	Throttle        time.Duration // one task of the key within this time, also after it has ended; 0 is off
	Debounce        time.Duration // whole seconds; the last message of the key within this time is the task, due at its end; 0 is off
	MaxLength       int           // pending tasks with which the queue takes no more: then it is Full; 0 is no bound
	Key             []byte        // what the three go by; nil is the payload, for Debounce the task's name
}

// Priority orders the pending tasks of one queue.
type Priority int8

// The priorities. High ones are begun before normal ones, those before low ones; but one of 16 tasks may be normal, and
// one of 64 low, before higher ones.
const (
	Normal Priority = iota
	High
	Low
)

// String is high, normal or low.
func (p Priority) String() string {
	switch p {
	case High:
		return "high"
	case Low:
		return "low"
	}
	return "normal"
}

// Header is a pair that travels with a task.
type Header = format.Header

// stored is the message as it is stored. unique is the key of its uniqueness, or "".
func (m *Message) stored(unique string) []byte {
	return format.Encode(&format.Message{
		Task: m.Task, Payload: m.Payload, ID: m.ID, Queue: m.Queue, MaxRetry: m.MaxRetry, Timeout: m.Timeout,
		UniqueKey: unique, Retention: m.Retention, Headers: m.Headers,
	})
}
