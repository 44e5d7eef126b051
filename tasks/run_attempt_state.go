package tasks

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/hibiken/asynq"

	"github.com/paidui/paidui/tasks/broker/fetch"
)

// delivery is what an attempt needs of its fetch.Delivery.
type delivery interface {
	Worker() string
	Began() time.Time
	Crashes() int
	Revoked() (reason string, ok bool)
	Terminated() <-chan struct{}
	RunsUntil(t time.Time)
	Keep(result []byte)
	Record(attempt []byte) bool
	Fence()
	Progress(ctx context.Context, progress []byte) error
	Check(ctx context.Context) error
	Owned(ctx context.Context) error
}

func currentDelivery(ctx context.Context) delivery {
	if d := fetch.CurrentDelivery(ctx); d != nil {
		return d
	}
	return nil
}

// attempt is one run of a task, or the refusal to run it. Two goroutines share it, asynq's and the handler's: see state.
type attempt struct {
	Task
	mux        *Mux
	binding    *binding // nil without a handler
	headers    headers
	delivery   delivery           // nil under a server that is not on a fetch.Fetcher
	args       []byte             // in the clear; nil when they can't be read
	encryption *attemptEncryption // nil for a task in the clear

	ctx       attemptContext
	startedAt time.Time // zero until the handler begins
	state     atomic.Int32
	progress  progress
	measured  atomic.Pointer[measurement] // nil without metrics

	// Of the handler's goroutine until the state is finished:
	result   []byte
	err      error
	timedOut bool // it failed after the end of its context
}

// The states of an attempt's handler. From fenced on, whatever the handler writes is refused.
const (
	running   int32 = iota
	fenced          // the delivery is over, and the handler has not returned
	abandoned       // the handler has lost its slot
	finished        // the handler has returned in time
)

func (m *Mux) newAttempt(ctx context.Context, t *asynq.Task) *attempt {
	id, _ := asynq.GetTaskID(ctx)
	queue, _ := asynq.GetQueueName(ctx)
	retried, _ := asynq.GetRetryCount(ctx)
	limit, _ := asynq.GetMaxRetry(ctx)
	a := &attempt{
		mux:      m,
		binding:  m.bindings[t.Type()],
		headers:  parseHeaders(t.Headers()),
		delivery: m.current(ctx),
		args:     t.Payload(),
	}
	a.Task = Task{
		ID:         id,
		Name:       t.Type(),
		Queue:      queue,
		Attempt:    retried + 1,
		MaxRetries: max(limit-crashAllowance, 0),
		RequestID:  a.headers.requestID,
		Headers:    userHeaders(a.headers.user),
		Tags:       a.headers.tags,
		run:        a,
	}
	a.decrypt()
	return a
}

// isRevoked reports whether the task was revoked before this delivery, or terminated since, and why.
func (a *attempt) isRevoked() (reason string, ok bool) {
	if a.delivery == nil {
		return "", false
	}
	return a.delivery.Revoked()
}

// fence refuses everything that the handler writes from now on.
func (a *attempt) fence() {
	a.progress.close()
	if a.delivery != nil {
		a.delivery.Fence()
	}
}

// writable reports whether what the handler writes still counts, as far as this process knows.
func (a *attempt) writable() bool { return a.state.Load() == running && !a.progress.fenced() }
