package tasks

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/paidui/paidui/models/keyring"
)

// The pauses between tries to enqueue callbacks while Redis does not answer.
const (
	firstCallbackPause = 50 * time.Millisecond
	maxCallbackPause   = time.Second
)

// callbackTrace is how long a callback is known to Redis after its end, at least: its parent may run again when its worker
// has died, and then calls back once more.
const callbackTrace = OutboxRetention

// Parent is the task whose end enqueued a callback.
type Parent struct {
	ID     string          `json:"id"`
	Task   string          `json:"task"`
	State  State           `json:"state"`            // StateSuccess or StateFailure
	Result json.RawMessage `json:"result,omitempty"` // of a success
	Error  string          `json:"error,omitempty"`  // of a failure
}

// ErrNoParent says that the running task is nobody's callback.
var ErrNoParent = errors.New("the task is nobody's callback")

// ParentResult is, in a callback's handler, the result of the task that it follows. It returns ErrNoTask outside a
// handler, ErrNoParent in a task that is no callback, and a *FailureError when the parent has failed.
func ParentResult[R any](ctx context.Context) (R, error) {
	var value R
	t := Current(ctx)
	switch {
	case t == nil:
		return value, ErrNoTask
	case t.Parent == nil:
		return value, ErrNoParent
	case t.Parent.State != StateSuccess:
		return value, &FailureError{ID: t.Parent.ID, Msg: t.Parent.Error}
	case len(t.Parent.Result) == 0:
		return value, nil
	}
	if err := json.Unmarshal(t.Parent.Result, &value); err != nil {
		return value, fmt.Errorf("decode the result of task %s: %w", t.Parent.ID, err)
	}
	return value, nil
}

// parentJSON is the form of a callback's parent in its header.
type parentJSON struct {
	Parent
	Encrypted bool `json:"encrypted,omitempty"` // the result and the error are
}

// parseParent reads the header of a callback. Its error is unseal's.
func parseParent(keys *keyring.Ring, header string) (*Parent, error) {
	var p parentJSON
	if err := json.Unmarshal([]byte(header), &p); err != nil {
		return nil, nil // another program made it up
	}
	if !p.Encrypted {
		return &p.Parent, nil
	}
	o := decrypter{keys: keys, task: p.Task, id: p.ID}
	p.Result, p.Error = o.open(resultField, p.Result), o.text(p.Error)
	return &p.Parent, o.failure
}

// callsBack reports whether the task has callbacks.
func (h *headers) callsBack() bool { return h.onSuccess != "" || h.onFailure != "" }

// callBack enqueues the callbacks of a task that has ended, before its end is stored: their ids are settled, so that a
// repetition is harmless. While a store does not take them it tries again, for as long as the task is this worker's. Then the
// attempt is interrupted, at no cost.
func (a *attempt) callBack(ctx context.Context, v verdict) error {
	parent := parentJSON{Parent: Parent{ID: a.ID, Task: a.Name}, Encrypted: v.encrypted != nil}
	var list string
	switch v.outcome {
	case succeeded:
		list, parent.State, parent.Result = a.headers.onSuccess, StateSuccess, v.result
		if parent.Encrypted {
			parent.Result = v.encrypted.result
		}
	case failed:
		list, parent.State, parent.Error = a.headers.onFailure, StateFailure, v.briefText()
	}
	if list == "" || a.mux.client == nil { // without a client the task fails, and can call nobody
		return nil
	}
	calls, err := decodeCalls(list)
	if err == nil {
		calls, err = withParent(calls, parent)
	}
	if err != nil {
		a.Logger().ErrorContext(ctx, "the callbacks are lost", a.errorAttr(err))
		return nil
	}
	for i := range calls {
		if b := a.mux.bindings[calls[i].name]; b != nil && b.encrypted { // whoever stored the call may not have known
			calls[i].options.encrypted = true
		}
	}
	ctx, cancel := withAckReserve(ctx, context.WithValue(ctx, taskKey{}, &a.Task)) // for its request id
	defer cancel()
	for pause := firstCallbackPause; ; pause = min(2*pause, maxCallbackPause) {
		if calls, err = a.enqueueCallbacks(ctx, calls); len(calls) == 0 {
			return nil
		}
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			timer.Stop()
			return fmt.Errorf("callbacks could not be enqueued: %w: %w", err, ctx.Err())
		case <-timer.C:
		}
	}
}

func withParent(calls []Signature, parent parentJSON) ([]Signature, error) {
	header, err := json.Marshal(parent)
	if err != nil {
		return nil, fmt.Errorf("encode the parent: %w", err)
	}
	text := strings.ToValidUTF8(string(header), "\uFFFD")
	for i := range calls {
		calls[i].options.change(func(e *extras) { e.parent = text })
	}
	return calls, nil
}

// enqueueCallbacks returns the calls that Redis, or of durable ones the database, did not take, with the error of one. One
// that is refused for good is logged; what comes after ctx has ended says nothing of that.
func (a *attempt) enqueueCallbacks(ctx context.Context, calls []Signature) (left []Signature, err error) {
	for i, made := range EnqueueMany(ctx, a.mux.client, calls) {
		switch {
		case made.Err == nil, errors.Is(made.Err, ErrDuplicate):
		case ctx.Err() != nil, a.mux.storeAway(made.Err): // ErrBroker is
			left, err = append(left, calls[i]), made.Err
		default:
			a.Logger().ErrorContext(ctx, "a callback is refused", "callback", calls[i].name, a.errorAttr(made.Err))
		}
	}
	return left, err
}
