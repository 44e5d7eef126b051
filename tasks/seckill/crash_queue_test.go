package seckill

import (
	"context"
	"encoding/json"
	"slices"
	"sync"

	"github.com/redis/go-redis/v9"

	"github.com/paidui/paidui/tasks"
	"github.com/paidui/paidui/tasks/broker"
)

// fakeQueue is a broker whose tasks run, end and vanish when the test says so.
type fakeQueue struct {
	rdb   redis.UniversalClient // judges gates
	mu    sync.Mutex            // lookups come in parallel
	tasks map[string]*fakeTask
}

type fakeTask struct {
	args   OrderArgs
	state  tasks.State
	result json.RawMessage
	failed int // attempts
	run    int // who holds the task: a run that was given up on does not count
}

func newFakeQueue(rdb redis.UniversalClient) *fakeQueue {
	return &fakeQueue{rdb: rdb, tasks: make(map[string]*fakeTask)}
}

// enqueueIf takes two steps, as on a Redis Cluster: elsewhere nothing can come between them.
func (q *fakeQueue) enqueueIf(ctx context.Context, gate broker.Gate, taskID string, args OrderArgs) (any, error) {
	open, reply, err := gate.Ask(ctx, q.rdb)
	if err != nil || !open {
		return reply, err
	}
	return reply, q.enqueue(ctx, taskID, args)
}

// admit is a gate without a task: whoever is let in dies before he enqueues.
func (l ledger) admit(ctx context.Context, userID, goodsID int64, taskID string) (admission, error) {
	_, reply, err := l.gate(userID, goodsID, taskID).Ask(ctx, l.rdb)
	if err != nil {
		return admission{}, err
	}
	return parseAdmission(reply)
}

func (q *fakeQueue) enqueue(ctx context.Context, taskID string, args OrderArgs) error {
	return step(ctx, "enqueue", func() error {
		q.mu.Lock()
		defer q.mu.Unlock()
		if q.tasks[taskID] == nil {
			q.tasks[taskID] = &fakeTask{args: args, state: tasks.StatePending}
		}
		return nil
	})
}

// info is no step, because the lookups of one process run in parallel.
func (q *fakeQueue) info(_ context.Context, taskID string) (*tasks.Info, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	t := q.tasks[taskID]
	if t == nil {
		return nil, tasks.ErrNotFound
	}
	return &tasks.Info{ID: taskID, Task: Order.Name(), State: t.state, Result: t.result}, nil
}

// in lists the ids of the tasks in one of the states, in order.
func (q *fakeQueue) in(states ...tasks.State) []string {
	q.mu.Lock()
	defer q.mu.Unlock()
	var ids []string
	for id, t := range q.tasks {
		if slices.Contains(states, t.state) {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

// delivery is a task in the hands of a worker.
type delivery struct {
	taskID string
	run    int
	args   OrderArgs
}

func (q *fakeQueue) begin(taskID string) delivery {
	q.mu.Lock()
	defer q.mu.Unlock()
	t := q.tasks[taskID]
	t.state = tasks.StateStarted
	t.run++
	return delivery{taskID: taskID, run: t.run, args: t.args}
}

// failedBefore is how many attempts of the task failed; it is as unknown as the task after a flush.
func (q *fakeQueue) failedBefore(taskID string) int {
	q.mu.Lock()
	defer q.mu.Unlock()
	if t := q.tasks[taskID]; t != nil {
		return t.failed
	}
	return 0
}

// end stores what came of a run, unless the task was given to another since.
func (q *fakeQueue) end(ctx context.Context, taskID string, run int, state tasks.State, result OrderResult) error {
	return step(ctx, "acknowledge", func() error {
		encoded, err := json.Marshal(result)
		if err != nil {
			return err
		}
		q.mu.Lock()
		defer q.mu.Unlock()
		t := q.tasks[taskID]
		if t == nil || t.run != run || t.state != tasks.StateStarted {
			return nil
		}
		t.state = state
		switch state {
		case tasks.StateSuccess:
			t.result = encoded
		case tasks.StateRetry, tasks.StateFailure:
			t.failed++
		}
		return nil
	})
}

// set changes the state from outside: a lease that expired, an operator who revokes.
func (q *fakeQueue) set(taskID string, state tasks.State) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.tasks[taskID].state = state
}

func (q *fakeQueue) remove(taskIDs ...string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, id := range taskIDs {
		delete(q.tasks, id)
	}
}

func (q *fakeQueue) clear() {
	q.mu.Lock()
	defer q.mu.Unlock()
	clear(q.tasks)
}
