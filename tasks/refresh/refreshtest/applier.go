package refreshtest

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
)

// Applier is a cache.Applier of the name that remembers what it is given, after it has failed so oftea. It is safe for
// concurrent use.
type Applier struct {
	Fails atomic.Int32 // how many calls are still to fail

	name string

	mu    sync.Mutex
	ids   []string
	tasks []string
}

// NewApplier makes one that has not failed.
func NewApplier(name string) *Applier { return &Applier{name: name} }

// Name implements cache.Applier.
func (a *Applier) Name() string { return a.name }

// Apply implements cache.Applier.
func (a *Applier) Apply(_ context.Context, task string, ids []string) error {
	if a.Fails.Add(-1) >= 0 {
		return errors.New("not yet")
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.ids, a.tasks = append(a.ids, ids...), append(a.tasks, task)
	return nil
}

// IDs are those it was given, in order.
func (a *Applier) IDs() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.ids)
}

// Tasks are the ids of the tasks that gave them, one for each call that did not fail.
func (a *Applier) Tasks() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.tasks)
}
