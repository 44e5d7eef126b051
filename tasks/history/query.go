package history

import (
	"fmt"
	"slices"
	"time"

	"github.com/paidui/paidui/models/errorgroup"
	"github.com/paidui/paidui/tasks"
)

// The bounds of Query.Limit.
const (
	DefaultLimit = 20
	MaxLimit     = 100
)

// Query is what to search for. A field that is empty does not restrict.
type Query struct {
	State tasks.State
	Task  string
	Queue string
	Tag   string
	// ErrorGroup finds tasks in FAILURE whose errors are of one kind: see FailureGroup.
	ErrorGroup string
	// Text is words, and phrases in double quotes, that must all be in the task's arguments, its result or its error; upper and
	// lower case are the same, and no character is special. Of arguments and results the first 64 Ki characters are searched.
	// What is encrypted, or not kept, is never found by it.
	Text string

	Since  time.Time // when the task was enqueued, at the earliest
	Until  time.Time // ... and before
	Limit  int       // records of a page, 1 to MaxLimit; 0 is DefaultLimit
	Cursor string    // Page.Next of the same query, "" for the first page

	text   textQuery
	states []tasks.State // of a Walk; nil does not restrict
}

// QueryError says what of a query makes no sense. Field is its name in lower case.
type QueryError struct {
	Field string
	Msg   string
}

func (e *QueryError) Error() string { return fmt.Sprintf("history: %s: %s", e.Field, e.Msg) }

func queryErrorf(field, format string, args ...any) *QueryError {
	return &QueryError{Field: field, Msg: fmt.Sprintf(format, args...)}
}

// StateRunning as Query.State finds tasks that run: they are STARTED or, when they have reported progress, PROGRESS.
const StateRunning tasks.State = "running"

// States are those that a record can be in.
func States() []tasks.State {
	return []tasks.State{
		tasks.StatePending, tasks.StateStarted, tasks.StateProgress, tasks.StateRetry,
		tasks.StateSuccess, tasks.StateFailure, tasks.StateRevoked, tasks.StateLost,
	}
}

func (q *Query) validate() error {
	switch {
	case q.State != "" && q.State != StateRunning && !slices.Contains(States(), q.State):
		return queryErrorf("state", "want one of %v, or %s", States(), StateRunning)
	case q.Task != "" && cut(q.Task, maxName) != q.Task:
		return queryErrorf("task", "want at most %d characters", maxName)
	case q.Queue != "" && !tasks.ValidQueue(q.Queue):
		return queryErrorf("queue", "want 1 to 64 letters, digits, '_' or '-', the first a letter or digit")
	case q.Tag != "" && !tasks.ValidTag(q.Tag):
		return queryErrorf("tag", "want 1 to 64 visible characters without white space and commas")
	case !q.Since.IsZero() && storable(q.Since).IsZero():
		return queryErrorf("since", "want a time from 1970 to 9998")
	case !q.Until.IsZero() && storable(q.Until).IsZero():
		return queryErrorf("until", "want a time from 1970 to 9998")
	case !q.Since.IsZero() && !q.Until.IsZero() && !q.Since.Before(q.Until):
		return queryErrorf("until", "is not after since")
	case q.Limit < 0 || q.Limit > MaxLimit:
		return queryErrorf("limit", "want 1 to %d", MaxLimit)
	case q.ErrorGroup != "" && !errorgroup.ValidID(q.ErrorGroup):
		return queryErrorf("error_group", "want %d lower-case hexadecimal digits, as the list of failures has them", errorgroup.IDLength)
	}
	if q.Limit == 0 {
		q.Limit = DefaultLimit
	}
	var err error
	q.text, err = parseText(q.Text)
	return err
}

// allows tells whether the query may want tasks whose records are of the kind. A record need not know yet that its task has
// reported progress.
func (q *Query) allows(k kind) bool {
	return (q.Task == "" || q.Task == k.task) && (q.Queue == "" || q.Queue == k.queue) &&
		(q.State == "" || string(q.State) == k.state || runs(q.State) && runs(tasks.State(k.state))) &&
		(q.states == nil || slices.Contains(q.states, tasks.State(k.state)))
}

// wants is allows of a record that is up to date.
func (q *Query) wants(k kind) bool {
	return q.allows(k) && (q.State == "" || q.State == StateRunning || string(q.State) == k.state)
}

// runs tells whether a task in the state runs.
func runs(s tasks.State) bool {
	return s == tasks.StateStarted || s == tasks.StateProgress || s == StateRunning
}

// narrow tells whether it restricts more than times, and one of tag and group.
func (q *Query) narrow() bool {
	return q.Task != "" || q.Queue != "" || q.State != "" || q.states != nil || len(q.text) > 0 || q.Tag != "" && q.ErrorGroup != ""
}
