package tasks

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/paidui/paidui/models/away"
	"github.com/paidui/paidui/models/keyring"
)

// Handler runs one task: arguments in, result out, both JSON. The error says what becomes of the task: Permanent fails
// it at once, RetryIn and Snooze repeat it when they say, SnoozeFor may repeat it at no cost, any other is retried while
// retries are left and the definition's rules allow it.
type Handler func(ctx context.Context, t *Task, args []byte) (result []byte, err error)

// Middleware wraps every handler of a mux.
type Middleware func(next Handler) Handler

// MuxOptions configures a Mux.
type MuxOptions struct {
	Logger     *slog.Logger     // nil is slog.Default
	Middleware []Middleware     // the first is outermost; a panic of the handler reaches them as a *PanicError
	Metrics    Metrics          // nil: none
	Client     *Client          // enqueues callbacks, and tells its outbox of ends; without one a task with callbacks fails
	History    Recorder         // nil: no history
	Version    string           // of the program, for the history; "" when not known
	Keys       *keyring.Ring    // of encrypted tasks; nil takes the client's
	Now        func() time.Time // what etas and expiries go by; nil is time.Now
	// StoreAway adds to what tasks.StoreAway matches what a database's driver says when it does not answer: models.IsAway, or
	// one of your own. nil knows Redis, broken connections, and errors that are marked with away.Error.
	StoreAway func(error) bool
}

// Mux finds the handler of a task and runs it; it implements asynq.Handler. Bind all handlers before it is used; from
// then on it is safe for concurrent use.
type Mux struct {
	logger      *slog.Logger
	middleware  []Middleware
	metrics     Metrics  // nil: none
	series      sync.Map // taskQueue: MetricSeries
	storeAway   func(error) bool
	client      *Client
	history     Recorder
	version     string
	keys        *keyring.Ring // nil: nothing is encrypted
	now         func() time.Time
	missingKeys missingKeys
	bindings    map[string]*binding
	duplicates  []string

	// For tests to replace:
	current func(context.Context) delivery // nil without one
	grace   time.Duration                  // handlerEndGrace
}

type binding struct {
	run         Handler
	failureHook func(ctx context.Context, args []byte, cause error) error // nil without one
	retry       *retryRules                                               // of the definition; may be nil
	encrypted   bool                                                      // the definition is
	outage      outage
}

// NewMux makes a mux without handlers.
func NewMux(opt MuxOptions) *Mux {
	if opt.Logger == nil {
		opt.Logger = slog.Default()
	}
	if opt.Now == nil {
		opt.Now = time.Now
	}
	if opt.Keys == nil && opt.Client != nil {
		opt.Keys = opt.Client.keys
	}
	if opt.StoreAway == nil {
		opt.StoreAway = away.Is
	}
	return &Mux{
		now:        opt.Now,
		keys:       opt.Keys,
		logger:     opt.Logger,
		middleware: opt.Middleware,
		metrics:    opt.Metrics,
		storeAway:  opt.StoreAway,
		client:     opt.Client,
		history:    opt.History,
		version:    opt.Version,
		bindings:   make(map[string]*binding),
		current:    currentDelivery,
		grace:      handlerEndGrace,
	}
}

// HandleOption adds to a binding. Its type argument is the task's arguments.
type HandleOption[A any] func(*binding)

// FailureHook has h called when the task has failed for good: retries exhausted, a permanent error, a hard time limit, a
// worker that died too often, arguments that do not decode (args is then zero). It runs before the failure is stored, so
// it runs again if the worker dies between the two, and must be idempotent. With Snooze, or an error that the definition
// snoozes for, it puts the failure off: the task comes again as if this attempt had not been. Other errors are logged.
func FailureHook[A any](h func(ctx context.Context, args A, cause error) error) HandleOption[A] {
	return func(b *binding) {
		b.failureHook = func(ctx context.Context, raw []byte, cause error) error {
			args, err := decodeArgs[A](raw)
			if err != nil {
				var zero A
				args = zero
			}
			return h(ctx, args, cause)
		}
	}
}

// Handle binds a handler to a definition. Binding a definition twice is found by Verify.
//
// The handler has a goroutine of its own. Its context ends with context.DeadlineExceeded at the task's Timeout, and with
// the cause ErrRevoked when the task is revoked and terminated, or ErrFenced when another worker has taken it over. A handler that goes on regardless loses its slot, at the
// HardTimeout or some seconds after the termination, and whatever it writes from then on is refused.
func Handle[A, R any](m *Mux, d *Definition[A, R], h func(context.Context, A) (R, error), opts ...HandleOption[A]) {
	if _, taken := m.bindings[d.name]; taken {
		m.duplicates = append(m.duplicates, d.name)
		return
	}
	b := &binding{retry: d.defaults.extra().retry, encrypted: d.defaults.encrypted}
	for _, opt := range opts {
		opt(b)
	}
	b.run = recovered(func(ctx context.Context, t *Task, raw []byte) ([]byte, error) {
		args, err := decodeArgs[A](raw)
		if err != nil {
			return nil, Permanent(err)
		}
		value, err := h(ctx, args)
		if err != nil {
			return nil, err
		}
		return t.encodeResult(value)
	})
	for _, mw := range slices.Backward(m.middleware) {
		b.run = mw(b.run)
	}
	b.run = recovered(b.run)
	if m.metrics != nil {
		b.run = m.measure(b.run)
		m.seriesOf(d.name, d.Queue())
	}
	m.bindings[d.name] = b
}

// encodeResult is a handler's result as JSON, nil when the task keeps none.
func (t *Task) encodeResult(value any) ([]byte, error) {
	limit := t.run.headers.resultLimit
	if limit == 0 {
		return nil, nil
	}
	result, err := json.Marshal(value)
	if err != nil {
		return nil, Permanent(fmt.Errorf("encode result: %w", err))
	}
	if len(result) > limit {
		return nil, Permanent(&ResultTooLargeError{Size: len(result), Limit: limit})
	}
	return result, nil
}

// Tasks are the names of those that have a handler.
func (m *Mux) Tasks() []string { return slices.Sorted(maps.Keys(m.bindings)) }

// Verify reports every definition that was bound twice, and every task of the catalog that has no handler.
func (m *Mux) Verify(c *Catalog) error {
	var errs []error
	for _, name := range m.duplicates {
		errs = append(errs, fmt.Errorf("task %q has two handlers", name))
	}
	for _, s := range c.All() {
		if _, ok := m.bindings[s.Name()]; !ok {
			errs = append(errs, fmt.Errorf("task %q has no handler", s.Name()))
		}
	}
	return errors.Join(errs...)
}
