package tasks

import "time"

// Recorder keeps what becomes of tasks, beyond what Redis keeps. It is safe for concurrent use.
type Recorder interface {
	// Record takes note of where a task stands. It returns at once, or after a few seconds at most when records come
	// faster than they can be written; and it never fails: a record that cannot be kept is counted and dropped.
	Record(r Record)
}

// Record is what a process knows of a task that it enqueued or ran. Records of one task may come from several
// processes and in any order: the one that is furthest by Run, whether the task has ended, Attempt and State counts,
// and arguments, tags, worker and start that it leaves empty are those of the others. The receiver keeps Args, Result
// and Tags; they must not change any more.
type Record struct {
	ID, Task, Queue string
	State           State
	Run             int // 1, and 1 more each time the task was run again by hand; 0 is 1
	Attempt         int // 0 before the first
	Retries         int // attempts that failed and were, or will be, repeated
	MaxRetries      int
	Args, Result    []byte   // JSON; nil when not known or not to be kept
	Error           string   // the last attempt's, or why the task was revoked
	Worker          string   // name of the worker that ran it last
	Version         string   // of the program of the worker that tells of this; "" when not known
	Tags            []string // 1 to 64 characters each
	RequestID       string   // of the HTTP request that enqueued it

	// EnqueuedAt counts in milliseconds, and is the same in all records of a task: a record with a later one is of
	// another task with the same id, and replaces what is known of the first.
	EnqueuedAt         time.Time
	StartedAt, EndedAt time.Time // of the last attempt and of the task; zero when it has not come to that
}
