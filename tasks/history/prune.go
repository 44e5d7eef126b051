package history

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/paidui/paidui/models"
	"github.com/paidui/paidui/tasks"
)

const (
	// LeastAge bounds what Prune may be asked to delete.
	LeastAge = time.Hour
	// EffectAge is how long the traces of outbox.Once stay at least: a task may come again for as long as Redis keeps it.
	EffectAge = 30 * 24 * time.Hour
	// LeastActAge bounds what PruneActs may be asked to delete.
	LeastActAge = 24 * time.Hour
)

const (
	pruneBatch  = 2000                  // rows of a transaction
	deleteBatch = 500                   // of a statement
	prunePause  = 20 * time.Millisecond // between two transactions, for others who write
	settleBatch = 500
	openAge     = time.Hour // of records that have not ended and are compared with Redis
)

// Pruned counts what Prune did.
type Pruned struct {
	Records int `json:"records"` // deleted
	Effects int `json:"effects"` // traces of outbox.Once deleted
	Lost    int `json:"lost"`    // records found to be of tasks that Redis has forgotten
	Acts    int `json:"acts"`    // of the audit log, deleted
}

// Prune deletes what is older than age: the records of tasks that have ended or are lost, with their tags; and traces of
// outbox.Once, which stay 30 days at least. Counts of failures stay eight days. First it settles the records that have not ended and are older than an hour,
// for which Redis must answer. It may be interrupted and repeated at any time, and run while others write. progress is
// told after each batch; it may be nil.
func (s *Store) Prune(ctx context.Context, age time.Duration, progress func(Pruned)) (done Pruned, err error) {
	if age < LeastAge {
		return done, fmt.Errorf("history: prune: %v is less than %v", age, LeastAge)
	}
	if progress == nil {
		progress = func(Pruned) {}
	}
	p := pruner{Store: s, done: &done, progress: progress}
	now := s.now().UTC()
	if err := p.bundles(ctx); err != nil {
		return done, err
	}
	if err := p.eachKind(ctx, false, func(k kind) error { return p.settle(ctx, k, now.Add(-openAge)) }); err != nil {
		return done, fmt.Errorf("history: settle records: %w", err)
	}
	if err := p.eachKind(ctx, true, func(k kind) error { return p.records(ctx, k, now.Add(-age)) }); err != nil {
		return done, fmt.Errorf("history: delete records: %w", err)
	}
	if err := p.failureCounts(ctx); err != nil {
		return done, fmt.Errorf("history: delete counts of failures: %w", err)
	}
	if err := p.bulkRuns(ctx, now.Add(-age)); err != nil {
		return done, fmt.Errorf("history: delete bulk runs: %w", err)
	}
	if err := p.effects(ctx, now.Add(-max(age, EffectAge))); err != nil {
		return done, fmt.Errorf("history: delete effects: %w", err)
	}
	return done, nil
}

// pruner is one run of Prune.
type pruner struct {
	*Store
	done     *Pruned
	progress func(Pruned)
}

// eachKind calls f with the kinds whose tasks have ended, or have not.
func (p *pruner) eachKind(ctx context.Context, ended bool, f func(kind) error) error {
	kinds, err := p.kinds(ctx, "")
	if err != nil {
		return err
	}
	for _, k := range kinds {
		if tasks.State(k.state).Final() != ended {
			continue
		}
		if err := f(k); err != nil {
			return err
		}
	}
	return nil
}

// bundles turns bundles into rows, so that no record comes back that is deleted.
func (p *pruner) bundles(ctx context.Context) error {
	for after := int64(0); ; {
		ids, _, err := p.bundleIDs(ctx, bundlesAfter, after, convertAtOnce)
		if err != nil || len(ids) == 0 {
			return err
		}
		after = ids[len(ids)-1]
		if _, err := p.convertBundles(ctx, ids); err != nil {
			return err
		}
		if err := p.pause(ctx); err != nil {
			return err
		}
	}
}

func (p *pruner) settle(ctx context.Context, k kind, before time.Time) error {
	after := beginning
	for {
		list, err := p.oldest(ctx, k, before, after, settleBatch)
		if err != nil || len(list) == 0 {
			return err
		}
		last := list[len(list)-1]
		after = place{last.CreatedAt, last.TaskID} // before the records change
		_, lost, err := p.settleAll(ctx, list)
		if err != nil {
			return err
		}
		p.done.Lost += lost
		if err := p.pause(ctx); err != nil {
			return err
		}
	}
}

func (p *pruner) records(ctx context.Context, k kind, before time.Time) error {
	after := beginning
	for {
		list, err := p.oldest(ctx, k, before, after, pruneBatch)
		if err != nil || len(list) == 0 {
			return err
		}
		last := list[len(list)-1]
		after = place{last.CreatedAt, last.TaskID}
		list = slices.DeleteFunc(list, func(r *models.TaskRecord) bool {
			return r.FinishedAt != nil && !r.FinishedAt.Before(before) // it waited long for its time
		})
		n, err := p.delete(ctx, list)
		if err != nil {
			return err
		}
		p.done.Records += n
		if err := p.pause(ctx); err != nil {
			return err
		}
	}
}

// delete removes records and their tags, unless they have changed meanwhile.
func (p *pruner) delete(ctx context.Context, list []*models.TaskRecord) (n int, err error) {
	err = p.table.transact(ctx, func(tx *session) error {
		n = 0
		const one, link = "task_id = ? AND version = ? AND created_at = ?", "tag = ? AND created_at = ? AND task_id = ?"
		for part := range slices.Chunk(list, deleteBatch) {
			var records, tags []any
			for _, r := range part {
				records = append(records, r.TaskID, r.Version, r.CreatedAt)
				for _, tag := range tagsOf(r) {
					tags = append(tags, tag, r.CreatedAt, r.TaskID)
				}
			}
			result, err := tx.conn.ExecContext(ctx, "DELETE FROM paidui_task_records WHERE "+any3(one, records), records...)
			if err != nil {
				return err
			}
			deleted, err := result.RowsAffected()
			if err != nil {
				return err
			}
			n += int(deleted)
			if err := forgetFailures(ctx, tx, part); err != nil {
				return err
			}
			for links := range slices.Chunk(tags, 3*deleteBatch) {
				if _, err := tx.conn.ExecContext(ctx, "DELETE FROM paidui_task_tags WHERE "+any3(link, links), links...); err != nil {
					return err
				}
			}
		}
		return nil
	})
	return n, err
}

// Delete deletes the records of those of the tasks that have ended or are lost, with their tags. It tells how many there were.
func (s *Store) Delete(ctx context.Context, ids []string) (n int, err error) {
	p := pruner{Store: s}
	for part := range slices.Chunk(ids, deleteBatch) {
		var list []*models.TaskRecord
		err := s.db.WithContext(ctx).Select("task_id, version, created_at, tags, state").Where("task_id IN ?", part).Find(&list).Error
		if err != nil {
			return n, fmt.Errorf("history: read records: %w", err)
		}
		list = slices.DeleteFunc(list, func(r *models.TaskRecord) bool { return !tasks.State(r.State).Final() })
		deleted, err := p.delete(ctx, list)
		if err != nil {
			return n, fmt.Errorf("history: delete records: %w", err)
		}
		n += deleted
	}
	return n, nil
}

// forgetFailures deletes what finds failed tasks by their errors, of those of the records that are deleted.
func forgetFailures(ctx context.Context, tx *session, list []*models.TaskRecord) error {
	ids := make([]any, len(list))
	for i, r := range list {
		ids[i] = r.TaskID
	}
	_, err := tx.conn.ExecContext(ctx, "DELETE FROM paidui_task_failures WHERE task_id IN ("+marks(len(ids))+
		") AND NOT EXISTS (SELECT 1 FROM paidui_task_records r WHERE r.task_id = paidui_task_failures.task_id)", ids...)
	return err
}

// failureCounts deletes the counts of failures that no window shows any more.
func (p *pruner) failureCounts(ctx context.Context) error {
	before := p.now().UTC().Add(-countedFor)
	for _, span := range []int{shortSpan, longSpan} {
		for {
			var starts []time.Time
			db := p.db.WithContext(ctx)
			err := db.Model(&models.FailureCount{}).Where("span = ? AND at < ?", span, before).Order("at").Limit(1).Pluck("at", &starts).Error
			if err != nil {
				return err
			}
			if len(starts) == 0 {
				break
			}
			err = db.Where("span = ? AND at = ?", span, starts[0].UTC()).Delete(&models.FailureCount{}).Error
			if err != nil && !models.IsConflict(err) {
				return err
			}
			if err := p.pause(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

// bulkRuns deletes what was done to many tasks at once. There are few of them.
func (p *pruner) bulkRuns(ctx context.Context, before time.Time) error {
	return p.db.WithContext(ctx).Where("created_at < ? AND finished_at IS NOT NULL", before).Delete(&models.BulkRun{}).Error
}

// any3 is a condition on each three of the parameters.
func any3(condition string, params []any) string {
	return condition + strings.Repeat(" OR "+condition, len(params)/3-1)
}

var effectsByTask = models.UniqueKey{Table: "paidui_task_effects", Index: "PRIMARY", Column: "task_id"}

func (p *pruner) effects(ctx context.Context, before time.Time) error {
	for {
		var ids []string
		db := p.db.WithContext(ctx)
		if err := db.Model(&models.TaskEffect{}).Where("created_at < ?", before).Order("created_at").Limit(pruneBatch).Pluck("task_id", &ids).Error; err != nil {
			return err
		}
		if len(ids) == 0 {
			return nil
		}
		err := models.DeleteKeys(db, effectsByTask, ids).Error
		if models.IsConflict(err) {
			continue
		}
		if err != nil {
			return err
		}
		p.done.Effects += len(ids)
		if err := p.pause(ctx); err != nil {
			return err
		}
	}
}

// PruneActs deletes what is older than age from the audit log, and adds to what was done. It may be interrupted and repeated at
// any time, and run while others write. progress is as that of Prune.
func (s *Store) PruneActs(ctx context.Context, age time.Duration, done *Pruned, progress func(Pruned)) error {
	if age < LeastActAge {
		return fmt.Errorf("history: prune the audit log: %v is less than %v", age, LeastActAge)
	}
	if progress == nil {
		progress = func(Pruned) {}
	}
	p := pruner{Store: s, done: done, progress: progress}
	if err := p.acts(ctx, s.now().UTC().Add(-age)); err != nil {
		return fmt.Errorf("history: delete acts: %w", err)
	}
	return nil
}

var actsByID = models.UniqueKey{Table: "paidui_audit_log", Index: "PRIMARY", Column: "id"}

func (p *pruner) acts(ctx context.Context, before time.Time) error {
	for {
		var ids []int64
		db := p.db.WithContext(ctx)
		if err := db.Model(&models.AuditRecord{}).Where("at < ?", before).Order("at, id").Limit(pruneBatch).Pluck("id", &ids).Error; err != nil {
			return err
		}
		if len(ids) == 0 {
			return nil
		}
		err := models.DeleteKeys(db, actsByID, ids).Error
		if models.IsConflict(err) {
			continue
		}
		if err != nil {
			return err
		}
		p.done.Acts += len(ids)
		if err := p.pause(ctx); err != nil {
			return err
		}
	}
}

// pause tells how far the run is and lets others write.
func (p *pruner) pause(ctx context.Context) error {
	p.progress(*p.done)
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(prunePause):
		return nil
	}
}
