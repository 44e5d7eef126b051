package fetch

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/paidui/paidui/models/redisx"
	"github.com/paidui/paidui/tasks/broker/internal/format"
)

const (
	ackBatch     = 128
	acksInFlight = 1
	// The pauses between tries while Redis does not answer. They go on until it does; once the fetcher has stopped, for
	// lastTries.
	firstPause = 50 * time.Millisecond
	maxPause   = time.Second
	lastTries  = 5 * time.Second
)

// acknowledgement is the end of a delivery on its way.
type acknowledgement struct {
	end    endCall // as asynq makes it
	token  string
	result []byte
	record []byte // of the attempt
	cmd    *redis.Cmd
	fenced bool
	done   chan struct{} // receives once
}

var acknowledgements = sync.Pool{New: func() any { return &acknowledgement{done: make(chan struct{}, 1)} }}

// acknowledge ends a delivery, together with others. Its caller runs a task, so nothing waits for it but a slot; while
// Redis does not answer it tries again, as the task would otherwise run a second time: the life of this worker may outlast
// a Redis that is away. A delivery that this worker has forgotten has no effect: whoever has the task now is to end it.
func (f *Fetcher) acknowledge(ctx context.Context, end endCall) *redis.Cmd {
	task := end.task()
	d := f.deliveries.get(task)
	if d == nil {
		f.warnOfLate(ctx, task)
		return redis.NewCmd(ctx)
	}
	if err := ctx.Err(); err != nil { // the lease has ended: the delivery may be a later one, with its own token
		return failed(ctx, err)
	}
	d.ending.Store(true)
	if end.kind == endRequeue {
		d.putBack()
	}
	var t tries
	for {
		cmd, fenced := f.acknowledgeOnce(end, d)
		err := cmd.Err()
		if err == nil || redis.HasErrorPrefix(err, "NOT FOUND") {
			f.deliveries.drop(task, d)
			if fenced && t.n == 0 { // a repetition is fenced by its first try
				f.warnOfLate(ctx, task)
			}
			return cmd
		}
		if refuses(err) && t.end.IsZero() {
			t.end = time.Now().Add(format.LeaseTime)
		}
		if !f.again(&t) {
			f.deliveries.drop(task, d)
			return cmd
		}
	}
}

func (f *Fetcher) warnOfLate(ctx context.Context, task string) {
	f.logger.WarnContext(ctx, "late acknowledgement without effect: the delivery has lost its task", "task", task)
}

// refuses tells whether Redis understood and said no, for a reason that does not pass by itself.
func refuses(err error) bool {
	var reply redis.Error
	return errors.As(err, &reply) && !slices.ContainsFunc(passing, func(prefix string) bool { return redis.HasErrorPrefix(err, prefix) })
}

// passing begin the errors of a Redis that starts, fails over, is full or busy.
var passing = []string{
	"LOADING", "READONLY", "CLUSTERDOWN", "MASTERDOWN", "TRYAGAIN", "MOVED", "ASK", "OOM", "BUSY", "MISCONF", "NOREPLICAS",
	"UNBLOCKED", "NOAUTH", "WRONGPASS", "NOPERM", "ERR max number of clients",
}

// tries are those of one call that is repeated while Redis does not answer. The zero tries are none.
type tries struct {
	n        int
	pause    time.Duration
	end      time.Time // zero while there is none
	stopping bool      // the fetcher has stopped, and end goes by that
}

// again waits before the next try. It is false when there is to be none.
func (f *Fetcher) again(t *tries) bool {
	stop := f.closed
	if f.stopped() {
		stop = nil
		if last := time.Now().Add(lastTries); !t.stopping && (t.end.IsZero() || last.Before(t.end)) {
			t.end = last
		}
		t.stopping = true
	}
	if f.b.Closing().Err() != nil || !t.end.IsZero() && !time.Now().Before(t.end) {
		return false
	}
	t.n++
	t.pause = min(max(2*t.pause, firstPause), maxPause)
	timer := time.NewTimer(t.pause)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-stop:
	case <-f.b.Closing().Done():
	}
	return true
}

// acknowledgeOnce waits for the next batch, as long as the client's own time limits let it take.
func (f *Fetcher) acknowledgeOnce(end endCall, d *Delivery) (cmd *redis.Cmd, fenced bool) {
	a := acknowledgements.Get().(*acknowledgement)
	a.end, a.token = end, d.fetched.token
	a.result, a.record = d.kept()
	f.acks.Add(a)
	<-a.done
	cmd, fenced = a.cmd, a.fenced
	*a = acknowledgement{done: a.done}
	acknowledgements.Put(a)
	return cmd, fenced
}

// flushAcks sends a batch in one round trip: one script for the tasks of a queue that have succeeded, one for each other.
func (f *Fetcher) flushAcks(batch []*acknowledgement) {
	ctx := context.Background()            // the client's own time limits hold
	of := make([][]*acknowledgement, 0, 1) // by call
	joined := make(map[string]int, 1)      // by the day's counter, which has the queue and the date
	for _, a := range batch {
		if !a.end.finishes() {
			of = append(of, []*acknowledgement{a})
			continue
		}
		day := a.end.day()
		at, ok := joined[day]
		if !ok {
			at = len(of)
			joined[day] = at
			of = append(of, make([]*acknowledgement, 0, len(batch)))
		}
		of[at] = append(of[at], a)
	}
	calls := make([]*redisx.Call, len(of))
	for i, group := range of {
		if group[0].end.finishes() {
			calls[i] = finishCall(group)
		} else {
			calls[i] = group[0].call()
		}
	}
	redisx.RunScripts(ctx, f.b.Redis(), calls)
	for i, group := range of {
		settle(calls[i].Cmd, group)
	}
}

// settle gives each its answer: 1, or 0 when it was fenced; of those that have succeeded they come in a list.
func settle(cmd *redis.Cmd, group []*acknowledgement) {
	answers := []any{cmd.Val()}
	if group[0].end.finishes() {
		answers, _ = cmd.Slice()
	}
	for i, a := range group {
		a.cmd = cmd
		a.fenced = cmd.Err() == nil && i < len(answers) && answers[i] == int64(0)
		a.done <- struct{}{}
	}
}
