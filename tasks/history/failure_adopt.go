package history

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/paidui/paidui/models"
	"github.com/paidui/paidui/tasks"
)

// adoption goes over the records of failed tasks, and groups and counts those that builds without groups have written. It looks at those of the time for which failures are counted.
type adoption struct {
	kind  kind
	after place // where it is in the kind
}

const (
	adoptRows = 2000 // that one step looks at
	// adoptColumns is what it takes to group and count a failure: arguments and results may be large.
	adoptColumns = "task_id, task, queue, state, version, run, attempt, retries, error, worker, created_at, started_at, finished_at"
)

// adopt looks at the next records. After the last one it begins anew, since such a build may still run.
func (s *Settler) adopt(ctx context.Context) (more bool, err error) {
	err = s.store.exclusively(ctx, func() error {
		more, err = s.adoption.next(ctx, s.store, adoptRows)
		return err
	})
	return more, err
}

func (a *adoption) next(ctx context.Context, s *Store, left int) (more bool, err error) {
	kinds, err := s.kinds(ctx, "")
	if err != nil {
		return false, fmt.Errorf("history: list kinds of tasks: %w", err)
	}
	kinds = slices.DeleteFunc(kinds, func(k kind) bool { return k.state != string(tasks.StateFailure) || k.compare(a.kind) < 0 })
	slices.SortFunc(kinds, kind.compare)
	from := place{at: s.now().UTC().Add(-countedFor)}
	for _, k := range kinds {
		after := from
		if k == a.kind && a.after.at.After(from.at) {
			after = a.after
		}
		for {
			if left <= 0 {
				return true, nil
			}
			list, err := s.oldestOf(ctx, adoptColumns, k, endOfTime, after, min(left, settleBatch))
			if err != nil {
				return false, fmt.Errorf("history: read records of failed tasks: %w", err)
			}
			if len(list) == 0 {
				break
			}
			last := list[len(list)-1]
			after = place{last.CreatedAt.UTC(), last.TaskID}
			left -= len(list)
			if err := s.adoptAll(ctx, list); err != nil {
				return false, err
			}
			a.kind, a.after = k, after
		}
	}
	*a = adoption{}
	return false, nil
}

// adoptAll groups and counts those of the failures that are not known, and whose records are there still.
func (s *Store) adoptAll(ctx context.Context, list []*models.TaskRecord) error {
	ids := make([]any, len(list))
	for i, r := range list {
		ids[i] = r.TaskID
	}
	known := make(map[string]int)
	err := query(ctx, s.table.pool, "SELECT task_id, run FROM paidui_task_failures WHERE task_id IN ("+marks(len(ids))+")", ids,
		func(scan func(...any) error) error {
			var id string
			var run int
			err := scan(&id, &run)
			known[id] = run
			return err
		})
	if err != nil {
		return fmt.Errorf("history: look for failures: %w", err)
	}
	list = slices.DeleteFunc(list, func(r *models.TaskRecord) bool {
		run, there := known[r.TaskID]
		return there && run >= r.Run
	})
	if len(list) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, flushLimit)
	defer cancel()
	return s.table.transact(ctx, func(tx *session) error {
		ids := make([]any, len(list))
		for i, r := range list {
			ids[i] = r.TaskID
		}
		there := make(map[string]int64) // versions; locked, so that nobody deletes or changes the records meanwhile
		err := query(ctx, tx.conn, "SELECT task_id, version FROM paidui_task_records WHERE task_id IN ("+marks(len(ids))+")"+tx.dialect.forUpdate, ids,
			func(scan func(...any) error) error {
				var id string
				var version int64
				err := scan(&id, &version)
				there[id] = version
				return err
			})
		if err != nil {
			return fmt.Errorf("history: lock records of failed tasks: %w", err)
		}
		var rows []*row
		for _, r := range list {
			if version, ok := there[r.TaskID]; ok && version == r.Version {
				rows = append(rows, rowOf(r))
			}
		}
		slices.SortFunc(rows, func(a, b *row) int { return strings.Compare(a.id, b.id) })
		return s.table.countFailures(ctx, tx, rows)
	})
}
