package history

import (
	"context"
	"errors"
	"time"

	"github.com/paidui/paidui/tasks"
)

// PruneArgs say what to delete.
type PruneArgs struct {
	OlderThan string `json:"older_than,omitempty" jsonschema:"age from which records are deleted, as 720h (the default, 30 days); an hour at least"`
	// Builds without an audit log refuse it: set it when none of their workers runs any more.
	AuditOlderThan string `json:"audit_older_than,omitempty" jsonschema:"age from which acts of the audit log are deleted, as 2160h (the default, 90 days); 24h at least"`
}

var errAge = errors.New(`want a duration of an hour at least, such as "720h"`)

var errActAge = errors.New(`want a duration of 24 hours at least, such as "2160h"`)

const (
	defaultAge    = 30 * 24 * time.Hour
	defaultActAge = 90 * 24 * time.Hour
)

// Validate implements tasks.Validator.
func (a PruneArgs) Validate() error {
	if _, err := a.age(); err != nil {
		return &tasks.ArgsError{Field: "older_than", Msg: err.Error()}
	}
	if _, err := a.actAge(); err != nil {
		return &tasks.ArgsError{Field: "audit_older_than", Msg: err.Error()}
	}
	return nil
}

func (a PruneArgs) actAge() (time.Duration, error) {
	if a.AuditOlderThan == "" {
		return defaultActAge, nil
	}
	d, err := time.ParseDuration(a.AuditOlderThan)
	if err != nil || d < LeastActAge {
		return 0, errActAge
	}
	return d, nil
}

func (a PruneArgs) age() (time.Duration, error) {
	if a.OlderThan == "" {
		return defaultAge, nil
	}
	d, err := time.ParseDuration(a.OlderThan)
	if err != nil || d < LeastAge {
		return 0, errAge
	}
	return d, nil
}

// PruneTask runs Store.Prune and Store.PruneActs. Its result is a Pruned.
var PruneTask = tasks.Define[PruneArgs, Pruned]("history.prune",
	tasks.Queue("low"),
	tasks.MaxRetries(5),
	tasks.Backoff(time.Minute, time.Hour),
	tasks.SnoozeFor(tasks.StoreAway()),
	tasks.Timeout(2*time.Hour),
	tasks.UniqueFor(3*time.Hour),
)

// Bind gives the package's task its handler.
func Bind(m *tasks.Mux, s *Store) {
	tasks.Handle(m, PruneTask, func(ctx context.Context, a PruneArgs) (Pruned, error) {
		age, err := a.age()
		if err != nil {
			return Pruned{}, tasks.Permanent(err)
		}
		actAge, err := a.actAge()
		if err != nil {
			return Pruned{}, tasks.Permanent(err)
		}
		// A report that is refused ends the task by its context.
		done, err := s.Prune(ctx, age, func(done Pruned) { _ = tasks.Progress(ctx, int64(done.Records), 0, "records deleted") })
		if err != nil {
			return done, err
		}
		err = s.PruneActs(ctx, actAge, &done, func(done Pruned) { _ = tasks.Progress(ctx, int64(done.Acts), 0, "acts deleted") })
		return done, err
	})
}
