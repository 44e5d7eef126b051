package tasks

import (
	"context"
	"log/slog"
	"sync"
)

// Task is the running task as its handler sees it.
type Task struct {
	ID         string
	Name       string
	Queue      string
	Attempt    int // 1 for the first; a run that died with its worker does not count
	MaxRetries int
	RequestID  string            // of the HTTP request that enqueued it, or ""
	Headers    map[string]string // what the caller gave by Header; nil without any
	Tags       []string
	Parent     *Parent // of a callback: the task that it follows; nil in other tasks

	run    *attempt
	once   sync.Once
	logger *slog.Logger
}

// Logger carries the task's id, name and attempt.
func (t *Task) Logger() *slog.Logger {
	t.once.Do(func() {
		t.logger = t.run.mux.logger.With("task_id", t.ID, "task", t.Name, "attempt", t.Attempt)
		if t.RequestID != "" {
			t.logger = t.logger.With("request_id", t.RequestID)
		}
	})
	return t.logger
}

// MayWrite asks, here and in Redis, whether the attempt still has the task. With ErrFenced it has not, and must change
// nothing any more; any other error says that Redis cannot be asked.
func (t *Task) MayWrite(ctx context.Context) error {
	if !t.run.writable() {
		return ErrFenced
	}
	if t.run.delivery == nil {
		return nil
	}
	return t.run.delivery.Check(ctx)
}

type (
	taskKey      struct{}
	requestIDKey struct{}
)

// Current is the task whose handler got this context, or nil outside a handler.
func Current(ctx context.Context) *Task {
	t, _ := ctx.Value(taskKey{}).(*Task)
	return t
}

// WithRequestID makes tasks enqueued under the context carry the id into the log of their worker.
func WithRequestID(ctx context.Context, id string) context.Context {
	return context.WithValue(ctx, requestIDKey{}, id)
}

// RequestID is the id set by WithRequestID, or in a handler the one that its task carries; "" without either.
func RequestID(ctx context.Context) string {
	if id, ok := ctx.Value(requestIDKey{}).(string); ok {
		return id
	}
	if t := Current(ctx); t != nil {
		return t.RequestID
	}
	return ""
}
