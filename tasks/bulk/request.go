package bulk

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/paidui/paidui/tasks"
	"github.com/paidui/paidui/tasks/history"
)

// Action is what is done to each task.
type Action string

// The actions.
const (
	Retry  Action = "retry"  // tasks in FAILURE that Redis still has run again, as tasks.Client.Retry has it
	Revoke Action = "revoke" // tasks that have not ended do not run any more, as tasks.Client.Revoke has it
	Delete Action = "delete" // tasks that have ended are deleted from Redis and from the history
	// Prioritize gives tasks that wait another priority. Those that wait for a worker go before those of the priority that do.
	Prioritize Action = "priority"
)

// Actions are all of them.
func Actions() []Action { return []Action{Retry, Revoke, Delete, Prioritize} }

// states are those of the tasks that the action concerns.
func (a Action) states() []tasks.State {
	switch a {
	case Retry:
		return []tasks.State{tasks.StateFailure}
	case Prioritize:
		return []tasks.State{tasks.StatePending, tasks.StateRetry}
	case Revoke:
		return []tasks.State{tasks.StatePending, tasks.StateStarted, tasks.StateProgress, tasks.StateRetry}
	case Delete:
		return []tasks.State{tasks.StateSuccess, tasks.StateFailure, tasks.StateRevoked, tasks.StateLost}
	}
	return nil
}

// Filter is which tasks, as history.Query has it. One without any field matches nothing unless All is set.
type Filter struct {
	State      tasks.State `json:"state,omitempty"`
	Task       string      `json:"task,omitempty"`
	Queue      string      `json:"queue,omitempty"`
	Tag        string      `json:"tag,omitempty"`
	Since      time.Time   `json:"since,omitzero"` // when the task was enqueued, at the earliest
	Until      time.Time   `json:"until,omitzero"` // ... and before
	Text       string      `json:"q,omitempty"`
	ErrorGroup string      `json:"error_group,omitempty"`
	All        bool        `json:"all,omitempty"` // every task that the action concerns; without any other field
}

// Request is what is asked for.
type Request struct {
	Filter    Filter
	Action    Action
	Terminate bool   // with Revoke: workers are told to end what runs
	Priority  string // with Prioritize: high, normal or low
	By        string // who asks, 1 to tasks.MaxActor bytes of visible text in one line
}

// RequestError says what of a request makes no sense. Field is its JSON name.
type RequestError struct {
	Field string
	Msg   string
}

func (e *RequestError) Error() string { return fmt.Sprintf("bulk: %s: %s", e.Field, e.Msg) }

func requestErrorf(field, format string, args ...any) *RequestError {
	return &RequestError{field, fmt.Sprintf(format, args...)}
}

const filterField = "filter"

var (
	priorities = []string{"high", "normal", "low"}
	levels     = map[string]tasks.PriorityLevel{"high": tasks.High, "normal": tasks.Normal, "low": tasks.Low}
)

func (r *Request) validate() error {
	without := r.Filter
	without.All = false
	narrow := without != Filter{}
	states := r.Action.states()
	switch {
	case states == nil:
		return requestErrorf("action", "want one of %s", list(Actions()))
	case r.Terminate && r.Action != Revoke:
		return requestErrorf("terminate", "goes with the action %s", Revoke)
	case r.Priority != "" && r.Action != Prioritize:
		return requestErrorf("priority", "goes with the action %s", Prioritize)
	case r.Action == Prioritize && !slices.Contains(priorities, r.Priority):
		return requestErrorf("priority", "want one of %s", list(priorities))
	case !narrow && !r.Filter.All:
		return requestErrorf(filterField, `matches every task: say so with "all": true`)
	case narrow && r.Filter.All:
		return requestErrorf(filterField+".all", "goes without other fields of the filter")
	}
	switch state := r.Filter.State; {
	case r.Action == Revoke && (state == tasks.StateStarted || state == tasks.StateProgress):
		return requestErrorf(filterField+".state", "the history does not tell %s from %s for sure: want %s", tasks.StateStarted, tasks.StateProgress, history.StateRunning)
	case r.Action != Revoke && state == history.StateRunning:
		return requestErrorf(filterField+".state", "%s concerns tasks that are %s", r.Action, list(states))
	}
	if state := r.Filter.State; state != "" && slices.Contains(history.States(), state) && !slices.Contains(states, state) {
		return requestErrorf(filterField+".state", "%s concerns tasks that are %s", r.Action, list(states))
	}
	return nil
}

func list[T ~string](values []T) string {
	texts := make([]string, len(values))
	for i, v := range values {
		texts[i] = string(v)
	}
	return strings.Join(texts, ", ")
}

// query is the filter as a search has it, of tasks that were enqueued before a time.
func (f *Filter) query(before time.Time) history.Query {
	q := history.Query{
		State: f.State, Task: f.Task, Queue: f.Queue, Tag: f.Tag, Since: f.Since, Until: f.Until, Text: f.Text, ErrorGroup: f.ErrorGroup,
	}
	if q.Until.IsZero() || before.Before(q.Until) {
		q.Until = before
	}
	return q
}

// inFilter makes an error of a search into one of the filter.
func inFilter(err error) error {
	var wrong *history.QueryError
	if errors.As(err, &wrong) {
		return &RequestError{filterField + "." + wrong.Field, wrong.Msg}
	}
	return err
}

func (f *Filter) encode() (string, error) {
	text, err := json.Marshal(f)
	return string(text), err
}

func decodeFilter(text string) (f Filter, err error) {
	if err := json.Unmarshal([]byte(text), &f); err != nil {
		return f, fmt.Errorf("bulk: its filter can't be read: %w", err)
	}
	return f, nil
}
