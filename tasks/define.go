package tasks

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/google/jsonschema-go/jsonschema"
)

// Definition is the contract of one task: its name, the types of its arguments A and its result R (both JSON), and the
// options that hold unless a call says otherwise. It does not change once made and is safe for concurrent use.
type Definition[A, R any] struct {
	name     string
	defaults options
	schema   json.RawMessage
	required []requiredField
}

// Define makes a definition, usually as a package-level value. Without options a task goes to the queue "default", is
// retried 3 times with exponential backoff (1 s to 10 min, full jitter), may run for 30 minutes, and its result is kept
// for an hour. A bad name or option, or an A without a JSON form, is a programmer's error and panics.
func Define[A, R any](name string, opts ...Option) *Definition[A, R] {
	if err := checkName(name); err != nil {
		panic(err)
	}
	defaults := standardOptions()
	for _, opt := range opts {
		opt(&defaults)
	}
	defaults.queueChosen = false
	if err := defaults.validateDefaults(); err != nil {
		panic(fmt.Errorf("task %s: %w", name, err))
	}
	schema, err := jsonschema.For[A](nil)
	if err != nil {
		panic(fmt.Errorf("task %s: schema of its arguments: %w", name, err))
	}
	encoded, err := json.Marshal(schema)
	if err != nil {
		panic(fmt.Errorf("task %s: schema of its arguments: %w", name, err))
	}
	return &Definition[A, R]{name: name, defaults: defaults, schema: encoded, required: requiredFields(schema)}
}

// Name is the task's stable name.
func (d *Definition[A, R]) Name() string { return d.name }

// Queue is where the task goes unless a call says otherwise.
func (d *Definition[A, R]) Queue() string { return d.defaults.queue }

// Schema is the JSON Schema of A.
func (d *Definition[A, R]) Schema() json.RawMessage { return slices.Clone(d.schema) }

// Enqueue puts a task into its queue. It returns ErrDuplicate, together with the handle of the task that is there
// already, when the id is taken or a unique task exists; an *OptionError or *ArgsError when the call is wrong; and
// ErrBroker when the task could not be stored, in which case it may still have arrived: repeat with the same ID to be
// sure of exactly one.
func (d *Definition[A, R]) Enqueue(ctx context.Context, c *Client, args A, opts ...Option) (*Result[R], error) {
	payload, err := d.encodeArgs(args)
	if err != nil {
		return nil, err
	}
	o := d.options(opts)
	id, err := c.enqueue(ctx, d.name, payload, &o)
	if err != nil && !errors.Is(err, ErrDuplicate) {
		return nil, err
	}
	return d.Result(c, id), err
}

// EnqueueJSON is Enqueue with arguments as JSON. They are stored in A's canonical form, so that uniqueness does not
// depend on spacing or the order of fields.
func (d *Definition[A, R]) EnqueueJSON(ctx context.Context, c *Client, raw json.RawMessage, opts ...Option) (string, error) {
	s, err := d.SignatureJSON(raw, opts...)
	if err != nil {
		return "", err
	}
	return c.enqueue(ctx, s.name, s.payload, &s.options)
}

// SignatureJSON is Signature with arguments as JSON, which EnqueueJSON tells about. It refuses them with an *ArgsError;
// bad options are reported when the signature is enqueued.
func (d *Definition[A, R]) SignatureJSON(raw json.RawMessage, opts ...Option) (Signature, error) {
	args, err := readArgs[A](raw)
	if err != nil {
		return Signature{}, err
	}
	payload, err := json.Marshal(args)
	if err != nil {
		return Signature{}, fmt.Errorf("task %s: encode arguments: %w", d.name, err)
	}
	if err := d.check(args, raw, payload); err != nil {
		return Signature{}, err
	}
	if err := checkReserved(payload); err != nil {
		return Signature{}, err
	}
	return Signature{name: d.name, payload: payload, options: d.options(opts)}, nil
}

// Options are the options that hold unless a call says otherwise, where they differ from the standard. Callbacks, rules
// of retries and Repeatable are left out.
func (d *Definition[A, R]) Options() Options { return d.defaults.json() }

// Encrypted reports whether the definition is so.
func (d *Definition[A, R]) Encrypted() bool { return d.defaults.encrypted }

// CheckArgs returns an *ArgsError when raw does not decode into A, or lacks a field that A requires.
func (d *Definition[A, R]) CheckArgs(raw json.RawMessage) error {
	args, err := readArgs[A](raw)
	if err != nil {
		return err
	}
	if err := checkReserved(raw); err != nil {
		return err
	}
	return d.check(args, raw, nil)
}

// check refuses arguments that lack a required field or that their Validator refuses. raw is what they were read from.
// If it equals the canonical form, which may be nil for unknown, no required field is missing.
func (d *Definition[A, R]) check(args A, raw, canonical []byte) error {
	if canonical == nil || !bytes.Equal(raw, canonical) || bytes.Contains(raw, []byte("null")) {
		if err := checkRequired(d.required, raw); err != nil {
			return err
		}
	}
	return validateArgs(args)
}

// Result is the handle of an existing task of this definition. It makes no request and does not check the id.
func (d *Definition[A, R]) Result(c *Client, id string) *Result[R] {
	return &Result[R]{client: c, id: id}
}
