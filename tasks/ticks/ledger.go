package ticks

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/paidui/paidui/models"
	"github.com/paidui/paidui/tasks"
)

// Ledger is the database's knowledge of the ticks of durable entries: the last of each whose task went into the outbox. A
// tick is noted in the transaction that puts its task there, and ticks are put in order, so that a tick up to the noted one
// is never put again: by no other scheduler, by none that stood still, and after no loss of Redis's data. It is safe for
// concurrent use.
type Ledger struct{ db *gorm.DB }

// NewLedger makes a ledger in a migrated database that has an outbox.
func NewLedger(db *gorm.DB) *Ledger { return &Ledger{db} }

// noteTries bounds the tries of a note beside which another scheduler makes the entry's first.
const noteTries = 3

// Clock reads a clock that is right, as Store.Clock reads Redis's.
type Clock func(context.Context) (time.Time, error)

// Note notes a tick and calls put in the same transaction. first is false when the tick was noted before, or a later one was;
// put is not called then. A noted tick that is more than Tolerance after the clock's time was noted while that clock was
// wrong, and does not count. The clock is only asked when such a tick may be there.
func (l *Ledger) Note(ctx context.Context, entry, rule string, tick time.Time, clock Clock, put func(tx *gorm.DB) error) (first bool, err error) {
	row := models.ScheduleTick{Entry: entry, Rule: Digest(rule), Tick: tick.Unix()}
	for range noteTries {
		err = l.db.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
			if first, err = advance(ctx, tx, row, clock); err != nil || !first {
				return err
			}
			if err := put(tx); err != nil && !errors.Is(err, tasks.ErrDuplicate) {
				return err
			}
			return nil
		})
		if err == nil || !models.IsDuplicate(err) && !models.IsConflict(err) {
			break
		}
	}
	if err != nil {
		return false, fmt.Errorf("note a tick of schedule %s: %w", entry, err)
	}
	return first, nil
}

// advance writes the row unless one that counts is as late. It fails with a duplicate when another does so at the same time.
// The clock is asked after the row was read, which the first statement has locked: an earlier time, of a process that then
// stood still, would make a row that others have written meanwhile look wrong.
func advance(ctx context.Context, tx *gorm.DB, row models.ScheduleTick, clock Clock) (bool, error) {
	changed := map[string]any{"rule": row.Rule, "tick": row.Tick}
	done := tx.Model(&models.ScheduleTick{}).Where("entry = ? AND tick < ?", row.Entry, row.Tick).Updates(changed)
	if done.Error != nil || done.RowsAffected > 0 {
		return done.Error == nil, done.Error
	}
	var noted []models.ScheduleTick
	if err := tx.Where("entry = ?", row.Entry).Find(&noted).Error; err != nil {
		return false, err
	}
	if len(noted) == 0 {
		return true, tx.Create(&row).Error
	}
	now, err := clock(ctx)
	if err != nil || noted[0].Tick <= now.Add(Tolerance).Unix() {
		return false, err
	}
	return true, tx.Model(&models.ScheduleTick{}).Where("entry = ?", row.Entry).Updates(changed).Error
}

// Noted identifies the ticks of an entry with a rule.
type Noted struct{ Entry, Rule string } // Rule is a Digest

// Noted gives the last ticks that are noted.
func (l *Ledger) Noted(ctx context.Context) (map[Noted]time.Time, error) {
	var rows []models.ScheduleTick
	if err := l.db.WithContext(ctx).Find(&rows).Error; err != nil {
		return nil, fmt.Errorf("read the ticks of durable schedules: %w", err)
	}
	last := make(map[Noted]time.Time, len(rows))
	for _, r := range rows {
		last[Noted{r.Entry, r.Rule}] = time.Unix(r.Tick, 0).UTC()
	}
	return last, nil
}

// Forget drops the ticks that are noted of entries other than those that tick, and the counts of others than the counted: one
// that comes back starts anew. It asks inForce whether
// these are still the entries after it has deleted and before it commits; an error of inForce keeps all. So nothing is
// dropped that was noted under a newer schedule, however long the database takes.
func (l *Ledger) Forget(ctx context.Context, ticking, counted []string, inForce func() error) error {
	err := l.db.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		others := func(names []string) *gorm.DB {
			if len(names) == 0 {
				return tx.Where("1 = 1")
			}
			return tx.Where("entry NOT IN ?", names)
		}
		if err := others(ticking).Delete(&models.ScheduleTick{}).Error; err != nil {
			return err
		}
		if err := others(counted).Delete(&models.ScheduleCount{}).Error; err != nil {
			return err
		}
		return inForce()
	})
	if err != nil {
		return fmt.Errorf("forget the ticks of schedules that are gone: %w", err)
	}
	return nil
}

// Count counts a tick of an entry with a maximum, in the transaction that notes it. A rule other than the one before begins at 1.
func (l *Ledger) Count(tx *gorm.DB, entry, rule string) error {
	row := models.ScheduleCount{Entry: entry, Rule: Digest(rule), Ticks: 1}
	done := tx.Model(&models.ScheduleCount{}).Where("entry = ? AND rule = ?", row.Entry, row.Rule).Update("ticks", gorm.Expr("ticks + 1"))
	if done.Error != nil || done.RowsAffected > 0 {
		return done.Error
	}
	return tx.Clauses(clause.OnConflict{UpdateAll: true}).Create(&row).Error
}

// Counts gives how many ticks are counted.
func (l *Ledger) Counts(ctx context.Context) (map[Noted]int64, error) {
	var rows []models.ScheduleCount
	if err := l.db.WithContext(ctx).Find(&rows).Error; err != nil {
		return nil, fmt.Errorf("read how many ticks schedules had: %w", err)
	}
	counts := make(map[Noted]int64, len(rows))
	for _, r := range rows {
		counts[Noted{r.Entry, r.Rule}] = r.Ticks
	}
	return counts, nil
}

// Put calls put in a transaction.
func (l *Ledger) Put(ctx context.Context, put func(tx *gorm.DB) error) error {
	return l.db.WithContext(ctx).Transaction(put)
}

// Unsent tells whether a task is in the outbox, which keeps it until it has ended.
func (l *Ledger) Unsent(ctx context.Context, id string) (bool, error) {
	var rows int64
	err := l.db.WithContext(ctx).Model(&models.OutboxRow{}).Where("task_id = ? AND failed_at IS NULL", id).Count(&rows).Error
	if err != nil {
		return false, fmt.Errorf("look for task %s in the outbox: %w", id, err)
	}
	return rows > 0, nil
}

// Digest is a rule as the ledger has it.
func Digest(rule string) string {
	sum := sha256.Sum256([]byte(rule))
	return hex.EncodeToString(sum[:16])
}

// Vacant tells that Redis knows no schedule: it is new, or has lost its data.
func (s *Store) Vacant(ctx context.Context) (bool, error) {
	n, err := s.rdb.Exists(ctx, keyCurrent).Result()
	if err != nil {
		return false, fmt.Errorf("look for the schedule in force: %w", err)
	}
	return n == 0, nil
}
