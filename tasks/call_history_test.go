package tasks_test

import (
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/tasks"
	"github.com/paidui/paidui/tasks/taskstest"
)

// recorded keeps what it is told.
type recorded struct {
	mu   sync.Mutex
	list []tasks.Record
}

func (n *recorded) Record(r tasks.Record) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.list = append(n.list, r)
}

func TestWhoEnqueuesTellsTheHistory(t *testing.T) {
	t.Parallel()
	told := &recorded{}
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	client := tasks.NewClient(taskstest.Embedded(t), tasks.ClientOptions{History: told, Now: func() time.Time { return now }})
	ctx := tasks.WithRequestID(t.Context(), "r1")
	for _, opts := range [][]tasks.Option{
		{tasks.ID("full"), tasks.Tags("a")},
		{tasks.ID("full")}, // a duplicate
		{tasks.ID("meta"), tasks.History(tasks.HistoryMeta)},
		{tasks.ID("off"), tasks.History(tasks.HistoryOff)},
		{tasks.ID("wrong"), tasks.MaxRetries(-1)},
	} {
		_, err := sum.Enqueue(ctx, client, pair{N: 1}, opts...)
		_ = err // some are refused
	}
	tasks.EnqueueMany(ctx, client, []tasks.Signature{sum.Signature(pair{N: 2}, tasks.ID("many"), tasks.Queue("low"))})
	record := func(id, queue, args string) tasks.Record {
		r := tasks.Record{ID: id, Task: "test.sum", Queue: queue, State: tasks.StatePending, Run: 1, MaxRetries: 3, RequestID: "r1", EnqueuedAt: now}
		if args != "" {
			r.Args = []byte(args)
		}
		return r
	}
	for i := range told.list { // the zone does not matter
		require.True(t, now.Equal(told.list[i].EnqueuedAt))
		told.list[i].EnqueuedAt = now
	}
	full := record("full", "default", `{"n":1}`)
	full.Tags = []string{"a"}
	for i, r := range told.list {
		told.list[i].EnqueuedAt = r.EnqueuedAt.UTC()
	}
	require.Equal(t, []tasks.Record{full, record("meta", "default", ""), record("many", "low", `{"n":2}`)}, told.list)
}
