package outbox

import (
	"context"
	"fmt"
	"time"

	"gorm.io/gorm"

	"github.com/paidui/paidui/models"
)

// maxEnded bounds the ids that wait for their rows to be deleted. The sweeper finds the rows of others.
const maxEnded = 20_000

// endedTask is a task that was told to have ended at that time.
type endedTask struct {
	id string
	at time.Time
}

// Ended implements tasks.Outbox: the task's row goes about 100 ms later, or when the history has the end, within 10 s. The id
// of a task that no outbox has does no harm.
func (o *Outbox) Ended(id string) {
	o.mu.Lock()
	if len(o.ended) < maxEnded {
		o.ended = append(o.ended, endedTask{id, time.Now()})
	}
	enough := len(o.ended) >= o.pace.batch
	o.mu.Unlock()
	if enough {
		select {
		case o.full <- struct{}{}:
		default:
		}
	}
}

// cleaner deletes the rows of tasks that have ended, and what is left of them at the end.
func (o *Outbox) cleaner(ctx context.Context) {
	timer := time.NewTimer(o.pace.forget)
	defer timer.Stop()
	failures := 0
	for {
		full := o.full
		if failures > 0 {
			full = nil
		}
		select {
		case <-ctx.Done():
			if err := o.clean(ctx); err != nil {
				o.logger.WarnContext(ctx, "rows of tasks that have ended stay in the outbox; the sweeper of another process deletes them", "error", err)
			}
			return
		case <-full:
		case <-timer.C:
		}
		wait := o.pace.forget
		if err := o.clean(ctx); err != nil {
			failures++
			o.logger.WarnContext(ctx, "the outbox can't delete the rows of tasks that have ended", "error", err, "failures", failures)
			wait = o.pace.afterFailure(failures)
		} else {
			failures = 0
		}
		timer.Reset(wait)
	}
}

// clean deletes the rows of the tasks noted by Ended whose ends are written. Those that it could not delete stay noted.
func (o *Outbox) clean(ctx context.Context) error {
	for {
		due := o.written()
		if latest := time.Now().Add(-o.pace.keep); due.Before(latest) {
			due = latest
		}
		o.mu.Lock()
		n := 0
		for n < len(o.ended) && n < o.pace.batch && o.ended[n].at.Before(due) {
			n++
		}
		some := o.ended[:n]
		o.ended = o.ended[len(some):]
		if len(o.ended) == 0 {
			o.ended = nil
		}
		o.mu.Unlock()
		if len(some) == 0 {
			return nil
		}
		ids := make([]string, len(some))
		for i, e := range some {
			ids[i] = e.id
		}
		if err := o.deleteRows(ctx, ids); err != nil {
			o.mu.Lock()
			o.ended = append(some[:len(some):len(some)], o.ended...)
			o.mu.Unlock()
			return err
		}
	}
}

// deleteRows waits for a relay that has sent one of the rows and is about to say so.
func (o *Outbox) deleteRows(ctx context.Context, taskIDs []string) error {
	ctx, cancel := o.within(ctx)
	defer cancel()
	err := o.locked(ctx, func(tx *gorm.DB) error { return models.DeleteKeys(tx, byTaskID, taskIDs).Error })
	if err != nil {
		return fmt.Errorf("delete rows of tasks that have ended: %w", err)
	}
	return nil
}

var (
	byID     = models.UniqueKey{Table: "paidui_outbox", Index: "PRIMARY", Column: "id"}
	byTaskID = models.UniqueKey{Table: "paidui_outbox", Index: "idx_outbox_task_id", Column: "task_id"}
)
