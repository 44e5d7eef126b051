package fetch

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hibiken/asynq"

	"github.com/paidui/paidui/tasks/broker"
	"github.com/paidui/paidui/tasks/broker/internal/format"
)

// ErrFenced says that what an attempt wrote was refused: its time is over, or another delivery has the task.
var ErrFenced = errors.New("the attempt does not own the task any more")

const (
	quickTurnaround  = 5 * time.Millisecond
	turnaroundWeight = 16 // tasks that the moving average remembers, about
	// forsakenMargin is for asynq to find that a lease has ended.
	forsakenMargin = time.Second
)

// Delivery is one run of a task in this worker's hands. It is safe for concurrent use.
type Delivery struct {
	f       *Fetcher
	fetched fetched
	begun   time.Time
	until   atomic.Int64 // when the handler's context ends, in Unix milliseconds; 0 while that is not known
	fenced  atomic.Bool
	lost    atomic.Bool // another has the task, or is to get it
	ending  atomic.Bool // it is being acknowledged

	mu         sync.Mutex
	result     []byte
	attempt    []byte
	progress   []byte    // what was stored last
	isPutBack  bool      // what the attempt leaves does not count: it will run again
	alive      time.Time // when asynq last extended its lease
	revoked    string
	isRevoked  bool
	terminated chan struct{} // nil until somebody asks
	ended      bool          // terminated is, or is to be, closed
}

type fetcherKey struct{}

// Context lets handlers find their Delivery; it is for asynq.Config.BaseContext.
func (f *Fetcher) Context(parent context.Context) context.Context {
	return context.WithValue(parent, fetcherKey{}, f)
}

// CurrentDelivery is the one that asynq runs with this context, nil under a server that is not on a Fetcher, or when the
// delivery has ended.
func CurrentDelivery(ctx context.Context) *Delivery {
	f, _ := ctx.Value(fetcherKey{}).(*Fetcher)
	if f == nil {
		return nil
	}
	id, _ := asynq.GetTaskID(ctx)
	queue, _ := asynq.GetQueueName(ctx)
	return f.deliveries.get(format.TaskKey(queue, id))
}

// Worker is the name of the worker that has it.
func (d *Delivery) Worker() string { return d.f.cfg.Name }

// Began is when it was fetched, in milliseconds.
func (d *Delivery) Began() time.Time { return time.UnixMilli(d.fetched.began) }

// Crashes is how many earlier deliveries of the task ended with the death of their worker.
func (d *Delivery) Crashes() int { return d.fetched.crashes }

// Revoked tells whether the task was revoked before this delivery began, or has been terminated since, and why.
func (d *Delivery) Revoked() (reason string, ok bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.revoked, d.isRevoked
}

// Terminated is closed when the running task is revoked with terminate, or when the worker finds that the task was taken
// over by another: then Owned gives ErrFenced.
func (d *Delivery) Terminated() <-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.terminated == nil {
		d.terminated = make(chan struct{})
		if d.ended {
			close(d.terminated)
		}
	}
	return d.terminated
}

func (d *Delivery) terminate(reason string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.ended {
		return
	}
	d.ended, d.revoked, d.isRevoked = true, reason, true
	if d.terminated != nil {
		close(d.terminated)
	}
}

// lose makes it known that the task is no longer this delivery's.
func (d *Delivery) lose() {
	d.fenced.Store(true)
	d.lost.Store(true)
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.ended {
		d.ended = true
		if d.terminated != nil {
			close(d.terminated)
		}
	}
}

// Keep gives the result to the acknowledgement. A later one replaces it.
func (d *Delivery) Keep(result []byte) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.isPutBack {
		d.result = result
	}
}

// Record gives the JSON object that describes this attempt to the acknowledgement, nil for none. It holds no line break. It
// is false when the attempt does not count, because the worker ends and has put the task back.
func (d *Delivery) Record(attempt []byte) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.isPutBack {
		d.attempt = attempt
	}
	return !d.isPutBack
}

// putBack has the attempt be an interrupted one, whatever it still comes to.
func (d *Delivery) putBack() {
	task := broker.StoredTask{Worker: d.Worker(), Began: d.Began(), Retried: format.Decode([]byte(d.fetched.message)).Retried}
	record, err := unendedRecord(&task, "interrupted", WorkerEnded)
	if err != nil { // plain texts and numbers have a JSON form
		d.f.logger.Error("an interrupted attempt is missing in its task's list", "task_id", d.fetched.id, "error", err)
	}
	d.mu.Lock()
	d.isPutBack, d.result, d.attempt = true, nil, record
	d.mu.Unlock()
	d.lose()
}

// kept are the result and the record of the attempt, nil without.
func (d *Delivery) kept() (result, attempt []byte) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.result, d.attempt
}

// Fence makes Progress and Check give ErrFenced from now on. The acknowledgement still counts.
func (d *Delivery) Fence() { d.fenced.Store(true) }

// Progress stores how far the task is, as JSON, and tells those who wait for it. It gives ErrFenced when this delivery
// does not own the task any more.
func (d *Delivery) Progress(ctx context.Context, progress []byte) error {
	if d.fenced.Load() {
		return ErrFenced
	}
	t := d.fetched
	owned, err := progressScript.Run(ctx, d.f.b.Redis(), []string{t.key}, t.token, progress, t.id).Bool()
	switch {
	case err != nil:
		return fmt.Errorf("store progress of task %s: %w", t.id, err)
	case !owned:
		d.Fence()
		return ErrFenced
	}
	d.mu.Lock()
	d.progress = progress
	d.mu.Unlock()
	return nil
}

// RunsUntil tells when the handler's context ends, for the worker's record.
func (d *Delivery) RunsUntil(t time.Time) { d.until.Store(t.UnixMilli()) }

var progressScript = format.Script("fetch/progress.lua")

// Check asks Redis whether this delivery owns the task still. It gives ErrFenced when it does not.
func (d *Delivery) Check(ctx context.Context) error {
	if d.fenced.Load() {
		return ErrFenced
	}
	return d.ask(ctx)
}

// Owned tells whether the task is still this delivery's to end: nil or ErrFenced. It asks only when the worker stood still,
// or was cut off, for longer than its life lasts, so that another may have the task by now; and then it waits until Redis
// answers, which while the worker runs is no matter of time. The error of Redis it gives only once the worker is to stop,
// or when ctx ends. Unlike Check it does not mind Fence.
func (d *Delivery) Owned(ctx context.Context) error {
	var t tries
	for {
		switch {
		case d.lost.Load():
			return ErrFenced
		case d.f.life.alive():
			return nil
		}
		err := d.ask(ctx)
		if err == nil || errors.Is(err, ErrFenced) || ctx.Err() != nil || !d.f.again(&t) {
			return err
		}
	}
}

func (d *Delivery) ask(ctx context.Context) error {
	held, err := d.f.b.Redis().HMGet(ctx, d.fetched.key, "owner", "state").Result()
	if err != nil {
		return fmt.Errorf("ask who has task %s: %w", d.fetched.id, err)
	}
	if held[0] != d.fetched.token || held[1] != "active" {
		d.Fence()
		return ErrFenced
	}
	return nil
}
