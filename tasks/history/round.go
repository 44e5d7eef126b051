package history

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/paidui/paidui/models"
	"github.com/paidui/paidui/tasks"
)

// rounds go round all records that have not ended, some with each.
type rounds struct {
	kind  kind  // of the last record of the round before; none when it saw all that there were
	after place // where it is
}

// round compares the next records with Redis that have not ended and are older than a minute, such as those of a worker
// that was killed. One process does so at a time. More tells that there are records which it has not come to.
func (s *Settler) round(ctx context.Context) (more bool, err error) {
	err = s.store.exclusively(ctx, func() error {
		changed, lost, err := s.rounds.next(ctx, s.store, s.pace.rows)
		s.metrics.settled.WithLabelValues(asChanged).Add(float64(changed))
		s.metrics.settled.WithLabelValues(asLost).Add(float64(lost))
		more = s.rounds != rounds{}
		return err
	})
	return more, err
}

// next compares up to so many records.
func (r *rounds) next(ctx context.Context, s *Store, left int) (changed, lost int, err error) {
	kinds, err := s.kinds(ctx, "")
	if err != nil {
		return 0, 0, fmt.Errorf("history: list kinds of tasks: %w", err)
	}
	kinds = slices.DeleteFunc(kinds, func(k kind) bool { return tasks.State(k.state).Final() })
	slices.SortFunc(kinds, kind.compare)
	first, inside := slices.BinarySearchFunc(kinds, r.kind, kind.compare)
	kinds = append(kinds[first:], kinds[:first]...)
	if inside {
		kinds = append(kinds, r.kind) // what is before the place at which it begins comes last
	}
	before := s.now().UTC().Add(-settledAfter)
	for i, k := range kinds {
		after := beginning
		if i == 0 && inside {
			after = r.after
		}
		for left > 0 {
			list, err := s.oldest(ctx, k, before, after, min(left, settleBatch))
			if err != nil {
				return changed, lost, fmt.Errorf("history: read records of tasks that have not ended: %w", err)
			}
			if len(list) == 0 {
				break
			}
			last := list[len(list)-1]
			after = place{last.CreatedAt.UTC(), last.TaskID} // before the records change
			more, gone, err := s.settleAll(ctx, list)
			if err != nil {
				return changed, lost, err
			}
			changed += more
			lost += gone
			left -= len(list)
			r.kind, r.after = k, after
		}
	}
	if left > 0 {
		*r = rounds{}
	}
	return changed, lost, nil
}

func (k kind) compare(other kind) int {
	return cmp.Or(strings.Compare(k.task, other.task), strings.Compare(k.queue, other.queue), strings.Compare(k.state, other.state))
}

// beginning is before all records, and endOfTime after them.
var (
	beginning = place{at: time.Unix(0, 0)}
	endOfTime = time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)
)

// oldest reads the next n records of a kind that were enqueued before a time, oldest first.
func (s *Store) oldest(ctx context.Context, k kind, before time.Time, after place, n int) (list []*models.TaskRecord, err error) {
	return s.oldestOf(ctx, "*", k, before, after, n)
}

// oldestOf reads these columns of them.
func (s *Store) oldestOf(ctx context.Context, columns string, k kind, before time.Time, after place, n int) (list []*models.TaskRecord, err error) {
	err = s.db.WithContext(ctx).Raw("SELECT "+columns+" FROM paidui_task_records "+s.table.dialect.kindIndex+
		" WHERE task = ? AND queue = ? AND state = ? AND created_at < ? AND (created_at > ? OR created_at = ? AND task_id > ?)"+
		" ORDER BY created_at, task_id LIMIT ?", k.task, k.queue, k.state, before, after.at, after.at, after.id, n).
		Scan(&list).Error
	return list, err
}

// exclusively does work unless another process is doing it.
func (s *Store) exclusively(ctx context.Context, work func() error) error {
	if s.table.dialect.local {
		return work()
	}
	conn, err := s.table.pool.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	const lock = "CONCAT('paidui:history:', LEFT(SHA2(DATABASE(), 256), 40))" // of the server, which its databases share
	var got sql.NullInt64
	if err := conn.QueryRowContext(ctx, "SELECT GET_LOCK("+lock+", 0)").Scan(&got); err != nil {
		return fmt.Errorf("history: take the lock: %w", err)
	}
	if got.Int64 != 1 {
		return nil
	}
	defer func() {
		// A connection on which this fails is lost, and the lock with it.
		_, _ = conn.ExecContext(context.WithoutCancel(ctx), "DO RELEASE_LOCK("+lock+")")
	}()
	return work()
}
