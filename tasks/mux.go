package tasks

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/hibiken/asynq"
)

// MaxResultSize bounds a result's JSON, in bytes.
const MaxResultSize = 64 << 10

// Handler runs one task: arguments in, result out, both JSON. The error says what becomes of the task: Permanent fails
// it at once, any other is retried while retries are left.
type Handler func(ctx context.Context, t *Task, args []byte) (result []byte, err error)

// Middleware wraps every handler of a mux.
type Middleware func(next Handler) Handler

// MuxOptions configures a Mux.
type MuxOptions struct {
	Logger     *slog.Logger // nil is slog.Default
	Middleware []Middleware // the first is outermost; a panic of the handler reaches them as a *PanicError
}

// Mux finds the handler of a task and runs it; it implements asynq.Handler. Bind all handlers before it is used; from
// then on it is safe for concurrent use.
type Mux struct {
	logger     *slog.Logger
	middleware []Middleware
	bindings   map[string]*binding
	duplicates []string
}

type binding struct {
	run       Handler
	onFailure func(ctx context.Context, args []byte, cause error) error // nil without one
}

// NewMux makes a mux without handlers.
func NewMux(opt MuxOptions) *Mux {
	if opt.Logger == nil {
		opt.Logger = slog.Default()
	}
	return &Mux{
		logger:     opt.Logger,
		middleware: opt.Middleware,
		bindings:   make(map[string]*binding),
	}
}

// HandleOption adds to a binding. Its type argument is the task's arguments.
type HandleOption[A any] func(*binding)

// FailureHook has h called when the task has failed for good: retries exhausted, a permanent error, arguments that do
// not decode (args is then zero). It runs before the failure is stored, so it runs again if the worker dies between
// the two, and must be idempotent. Its own error is logged.
func FailureHook[A any](h func(ctx context.Context, args A, cause error) error) HandleOption[A] {
	return func(b *binding) {
		b.onFailure = func(ctx context.Context, raw []byte, cause error) error {
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
func Handle[A, R any](m *Mux, d *Definition[A, R], h func(context.Context, A) (R, error), opts ...HandleOption[A]) {
	if _, taken := m.bindings[d.name]; taken {
		m.duplicates = append(m.duplicates, d.name)
		return
	}
	b := &binding{}
	for _, opt := range opts {
		opt(b)
	}
	b.run = recovered(func(ctx context.Context, _ *Task, raw []byte) ([]byte, error) {
		args, err := decodeArgs[A](raw)
		if err != nil {
			return nil, Permanent(err)
		}
		value, err := h(ctx, args)
		if err != nil {
			return nil, err
		}
		result, err := json.Marshal(value)
		if err != nil {
			return nil, Permanent(fmt.Errorf("encode result: %w", err))
		}
		if len(result) > MaxResultSize {
			return nil, Permanent(fmt.Errorf("the result has %d bytes, more than the %d allowed: store it and return a reference", len(result), MaxResultSize))
		}
		return result, nil
	})
	for _, mw := range slices.Backward(m.middleware) {
		b.run = mw(b.run)
	}
	b.run = recovered(b.run)
	m.bindings[d.name] = b
}

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

// ProcessTask runs one delivery of a task, as asynq asks.
func (m *Mux) ProcessTask(ctx context.Context, t *asynq.Task) error {
	h := parseHeaders(t.Headers())
	task := m.newTask(ctx, t, h)
	if err := notBefore(ctx, task, h.eta); err != nil {
		return err
	}
	if !h.expires.IsZero() && !time.Now().Before(h.expires) {
		return m.revoke(ctx, task, t, h, "expired at "+h.expires.UTC().Format(time.RFC3339))
	}
	result, err := m.attempt(ctx, task, t.Payload(), h.timeout)
	if err != nil {
		if task.outcome(ctx, err) == failed {
			return Permanent(err)
		}
		return err
	}
	return storeResult(t, h, result)
}

func (m *Mux) newTask(ctx context.Context, t *asynq.Task, h headers) *Task {
	id, _ := asynq.GetTaskID(ctx)
	queue, _ := asynq.GetQueueName(ctx)
	retried, _ := asynq.GetRetryCount(ctx)
	limit, _ := asynq.GetMaxRetry(ctx)
	return &Task{
		parent:     m.logger,
		ID:         id,
		Name:       t.Type(),
		Queue:      queue,
		Attempt:    retried + 1,
		MaxRetries: max(limit-crashAllowance, 0),
		RequestID:  h.requestID,
	}
}

// attempt runs the handler within its time limit, logs what came of it and, when the task has failed for good, calls
// its failure hook.
func (m *Mux) attempt(parent context.Context, task *Task, args []byte, timeout time.Duration) ([]byte, error) {
	b, ok := m.bindings[task.Name]
	if !ok {
		err := fmt.Errorf("this worker has no handler for task %q", task.Name)
		logAttempt(parent, task, 0, err)
		return nil, err
	}
	begun := time.Now()
	ctx := newAttemptContext(parent, task, timeout)
	defer ctx.end()
	var result []byte
	var err error
	if task.Attempt > task.MaxRetries+1 {
		err = Permanent(errors.New("retries exhausted: the last attempt ignored its time limit"))
	} else if result, err = b.run(ctx, task, args); err != nil && parent.Err() == nil && ctx.Err() != nil {
		err = fmt.Errorf("timed out after %v: %w", timeout, err)
	}
	logAttempt(parent, task, time.Since(begun), err)
	if b.onFailure != nil && task.outcome(parent, err) == failed {
		if hookErr := b.onFailure(context.WithValue(parent, taskKey{}, task), args, err); hookErr != nil {
			task.Logger().ErrorContext(parent, "failure hook failed", errorAttr(hookErr))
		}
	}
	return result, err
}

func (m *Mux) revoke(ctx context.Context, task *Task, t *asynq.Task, h headers, reason string) error {
	task.Logger().InfoContext(ctx, "task revoked", "state", StateRevoked, "reason", reason)
	return storeResult(t, h, append(slices.Clone(revokedPrefix), reason...))
}

// storeResult gives the result to the acknowledgement.
func storeResult(t *asynq.Task, h headers, result []byte) error {
	if h.noResult {
		return nil
	}
	_, err := t.ResultWriter().Write(result)
	return err
}

// maxSkew is the difference between two machines' clocks that notBefore makes good.
const maxSkew = 5 * time.Second

// notBefore guards the eta against a forwarding worker whose clock is ahead of this one's. A task that comes much
// earlier was pulled forward by hand, and runs.
func notBefore(ctx context.Context, t *Task, eta time.Time) error {
	early := time.Until(eta)
	switch {
	case eta.IsZero() || early <= 0:
		return nil
	case early > maxSkew:
		t.Logger().WarnContext(ctx, "task runs before its eta: it was pulled forward, or a clock is wrong", "eta", eta)
		return nil
	}
	timer := time.NewTimer(early)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
