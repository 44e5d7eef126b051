package tasks

import (
	jsonv1 "encoding/json"
	"errors"
	"fmt"
	"iter"
	"slices"
	"time"

	"github.com/go-json-experiment/json"
)

// OnSuccess enqueues the calls when the task has succeeded: Celery's link. A call's callbacks add to its definition's.
// At most 8, and all callbacks of a task, those of callbacks included, take 16 KiB of JSON at most. Their ids and queues
// are settled when the task is enqueued, so that each is made once, however often the end of the task is reported; for
// that a callback is known for 15 minutes after its end, whatever its retention.
func OnSuccess(calls ...Signature) Option {
	return func(o *options) {
		o.change(func(e *extras) { e.onSuccess = slices.Concat(e.onSuccess, calls) })
	}
}

// OnFailure enqueues the calls when the task has failed for good: Celery's link_error. All else is as with OnSuccess.
func OnFailure(calls ...Signature) Option {
	return func(o *options) {
		o.change(func(e *extras) { e.onFailure = slices.Concat(e.onFailure, calls) })
	}
}

func (e *extras) hasCallbacks() bool { return len(e.onSuccess)+len(e.onFailure) > 0 }

func (e *extras) validateCallbacks(now time.Time) error {
	if err := validateCalls("on_success", e.onSuccess, now); err != nil {
		return err
	}
	return validateCalls("on_failure", e.onFailure, now)
}

func validateCalls(field string, calls []Signature, now time.Time) error {
	if len(calls) > MaxCallbacks {
		return optionErrorf(field, "%d calls are more than %d", len(calls), MaxCallbacks)
	}
	for i := range calls {
		if err := calls[i].validate(now); err != nil {
			return atCallback(indexedField(field, i), err)
		}
	}
	return nil
}

// validateCallbackIDs refuses a callback that has the id of its task or of another callback, however deep: of the tasks
// with one id only the first is made. The callbacks of a callback that runs were checked with its parent.
func (o *options) validateCallbackIDs() error {
	e := o.extra()
	if !e.hasCallbacks() || e.parent != "" {
		return nil
	}
	taken := map[string]bool{}
	if o.id != "" {
		taken[o.id] = true
	}
	return e.takeCallbackIDs("", taken)
}

func (e *extras) takeCallbackIDs(path string, taken map[string]bool) error {
	for field, calls := range e.callbacks() {
		for i := range calls {
			o, at := &calls[i].options, path+indexedField(field, i)
			if o.id != "" {
				if taken[o.id] {
					return optionErrorf(at+".id", "%s is the id of the task itself or of another callback", o.id)
				}
				taken[o.id] = true
			}
			if err := o.extra().takeCallbackIDs(at+".", taken); err != nil {
				return err
			}
		}
	}
	return nil
}

// callbacks gives each list of callbacks by its field.
func (e *extras) callbacks() iter.Seq2[string, []Signature] {
	return func(yield func(string, []Signature) bool) {
		_ = yield("on_success", e.onSuccess) && yield("on_failure", e.onFailure)
	}
}

// indexedField names one element of a field, as on_success[0].
func indexedField(field string, i int) string { return fmt.Sprintf("%s[%d]", field, i) }

// atCallback is the error of a callback's option or argument, with the callback's field before that of the option.
func atCallback(field string, err error) error {
	var option *OptionError
	var args *ArgsError
	switch {
	case errors.As(err, &option):
		return &OptionError{Field: field + "." + option.Field, Msg: option.Msg}
	case errors.As(err, &args) && args.Field != "":
		return &OptionError{Field: field + ".args." + args.Field, Msg: args.Msg}
	case errors.As(err, &args):
		return &OptionError{Field: field + ".args", Msg: args.Msg}
	}
	return fmt.Errorf("%s: %w", field, err)
}

// settleCalls is settleCall for copies of the calls.
func (c *Client) settleCalls(calls []Signature) ([]Signature, error) {
	settled := slices.Clone(calls)
	for i := range settled {
		if err := c.settleCall(&settled[i]); err != nil {
			return nil, err
		}
		if c.keys == nil && !isSealed(settled[i].payload) {
			settled[i].options.encrypted = false // workers that do not know the word refuse it; the others know their definitions
		}
	}
	return settled, nil
}

// settleCall gives a call its id and its queue, encrypts its arguments if its definition is so, and does the same for its
// callbacks.
func (c *Client) settleCall(s *Signature) error {
	o := &s.options
	o.queue, o.queueChosen = c.queueOf(s.name, o), true
	if o.id == "" {
		o.id, o.idMade = NewID(o.queue), true
	}
	if err := c.encryptCall(s); err != nil {
		return err
	}
	if !o.extra().hasCallbacks() {
		return nil
	}
	onSuccess, err := c.settleCalls(o.extras.onSuccess)
	if err != nil {
		return err
	}
	onFailure, err := c.settleCalls(o.extras.onFailure)
	if err != nil {
		return err
	}
	o.change(func(e *extras) { e.onSuccess, e.onFailure = onSuccess, onFailure })
	return nil
}

// encodeCallbacks is the callbacks as a task carries them, "" for none.
func (e *extras) encodeCallbacks() (onSuccess, onFailure string, err error) {
	if onSuccess, err = encodeCalls("on_success", e.onSuccess); err != nil {
		return "", "", err
	}
	if onFailure, err = encodeCalls("on_failure", e.onFailure); err != nil {
		return "", "", err
	}
	if n := len(onSuccess) + len(onFailure); n > MaxCallback {
		field := "on_success"
		if len(onFailure) > len(onSuccess) {
			field = "on_failure"
		}
		return "", "", optionErrorf(field, "the callbacks take %d bytes of JSON, more than %d", n, MaxCallback)
	}
	return onSuccess, onFailure, nil
}

func encodeCalls(field string, calls []Signature) (string, error) {
	if len(calls) == 0 {
		return "", nil
	}
	raw, err := jsonv1.Marshal(calls)
	if err != nil {
		return "", fmt.Errorf("encode %s: %w", field, err)
	}
	return string(raw), nil
}

// decodeCalls reads what encodeCalls wrote.
func decodeCalls(text string) ([]Signature, error) {
	if text == "" {
		return nil, nil
	}
	var calls []Signature
	if err := json.Unmarshal([]byte(text), &calls, strict); err != nil {
		return nil, fmt.Errorf("decode callbacks: %w", err)
	}
	return calls, nil
}
