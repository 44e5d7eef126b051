package taskstest

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/tasks"
	"github.com/paidui/paidui/tasks/broker"
)

// Call is one enqueued task, as its producer asked for it.
type Call[A any] struct {
	ID       string
	Queue    string
	Args     A
	Priority broker.Priority
	Tags     []string
	ETA      time.Time // zero is at once; whole seconds
}

// Enqueued lists the calls of a definition, the first one first. A debounced call that took the place of another has the
// other's id.
func Enqueued[A, R any](q *Queue, d *tasks.Definition[A, R]) []Call[A] {
	q.t.Helper()
	var calls []Call[A]
	for _, e := range q.messages() {
		if e.message.Task != d.Name() {
			continue
		}
		call := Call[A]{
			ID: e.id, Queue: e.message.Queue, Priority: e.message.Priority, Tags: slices.Clone(e.message.Tags), ETA: e.message.At,
		}
		require.NoError(q.t, json.Unmarshal(e.message.Payload, &call.Args), "arguments of %s", e.id)
		calls = append(calls, call)
	}
	return calls
}

// AssertEnqueued holds the arguments of a definition's calls, in their order, against those that are wanted; none wanted
// is none enqueued.
func AssertEnqueued[A, R any](t testing.TB, q *Queue, d *tasks.Definition[A, R], want ...A) {
	t.Helper()
	var got []A
	for _, call := range Enqueued(q, d) {
		got = append(got, call.Args)
	}
	require.Equal(t, want, got, "arguments of the %s that were enqueued; of all tasks: %s", d.Name(), q.names())
}

// enqueued is a message as it went to the broker, and the task that it became.
type enqueued struct {
	id      string
	message *broker.Message
}

func (q *Queue) messages() []enqueued {
	q.mu.Lock()
	defer q.mu.Unlock()
	return slices.Clone(q.enqueued)
}

func (q *Queue) names() string {
	var names []string
	for _, e := range q.messages() {
		names = append(names, e.message.Task)
	}
	return strings.Join(names, ", ")
}
