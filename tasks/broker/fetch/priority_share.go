package fetch

import "sync/atomic"

// One of so many tasks of a worker may be of a lower priority while higher ones wait, so that these don't starve it.
const (
	normalShare = 16
	lowShare    = 64
)

// priorityShare counts the tasks that a fetcher got, and tells when the lower priorities have their turn.
type priorityShare struct{ fetched atomic.Int64 }

// next is how many normal and how many low tasks are to come first in a fetch of so many.
func (t *priorityShare) next(limit int) (normal, low int64) {
	before := t.fetched.Load()
	after := before + int64(limit)
	return after/normalShare - before/normalShare, after/lowShare - before/lowShare
}

func (t *priorityShare) count(tasks int) { t.fetched.Add(int64(tasks)) }
