package schedule

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/paidui/paidui/models"
)

// MaxEntries bounds the rows of the table: each scheduler runs all of its entries.
const MaxEntries = 1000

// ErrTooMany says that the table has MaxEntries rows.
var ErrTooMany = fmt.Errorf("the table of schedules has %d rows, which is as many as there may be", MaxEntries)

// Table is the database's table of schedules. Every change of a row raises the table's revision in the same transaction, so
// that of two snapshots the one with the higher revision is the later one. It is safe for concurrent use.
type Table struct {
	open    func(context.Context) (*gorm.DB, error)
	opening sync.Mutex
	db      atomic.Pointer[gorm.DB] // nil until it is open
}

// NewTable makes the table of a migrated database.
func NewTable(db *gorm.DB) *Table {
	t := &Table{}
	t.db.Store(db)
	return t
}

// NewLateTable makes the table of a database that is opened when it is first asked for. Of calls of open one succeeds.
func NewLateTable(open func(context.Context) (*gorm.DB, error)) *Table { return &Table{open: open} }

// DB is the database, nil while it is not open. It does not wait for that.
func (t *Table) DB() *gorm.DB { return t.db.Load() }

func (t *Table) within(ctx context.Context) (*gorm.DB, error) {
	if db := t.db.Load(); db != nil {
		return db.WithContext(ctx), nil
	}
	t.opening.Lock()
	defer t.opening.Unlock()
	if t.db.Load() == nil {
		db, err := t.open(ctx)
		if err != nil {
			return nil, fmt.Errorf("open the table of schedules: %w", err)
		}
		t.db.Store(db)
	}
	return t.db.Load().WithContext(ctx), nil
}

const revisionID = 1

// Revision counts the changes of the table; 0 before the first.
func (t *Table) Revision(ctx context.Context) (int64, error) {
	db, err := t.within(ctx)
	if err != nil {
		return 0, err
	}
	return revisionOf(db)
}

func revisionOf(db *gorm.DB) (int64, error) {
	var found []models.ScheduleRevision
	if err := db.Where("id = ?", revisionID).Find(&found).Error; err != nil {
		return 0, fmt.Errorf("read the revision of the schedules: %w", err)
	}
	if len(found) == 0 {
		return 0, nil
	}
	return found[0].Revision, nil
}

// Read reads the whole table.
func (t *Table) Read(ctx context.Context) (Snapshot, error) {
	db, err := t.within(ctx)
	if err != nil {
		return Snapshot{}, err
	}
	for {
		before, err := revisionOf(db)
		if err != nil {
			return Snapshot{}, err
		}
		var found []models.ScheduleEntry
		if err := db.Order("name, kind").Limit(2 * MaxEntries).Find(&found).Error; err != nil {
			return Snapshot{}, fmt.Errorf("read the table of schedules: %w", err)
		}
		after, err := revisionOf(db)
		if err != nil {
			return Snapshot{}, err
		}
		if before != after {
			continue // the rows may be of either
		}
		s := Snapshot{Revision: after, Rows: make([]Row, len(found))}
		for i := range found {
			s.Rows[i] = rowOf(&found[i])
		}
		return s, nil
	}
}

func rowOf(m *models.ScheduleEntry) Row {
	return Row{Name: m.Name, Kind: m.Kind, Entry: m.Entry, Paused: m.Paused, Base: m.Base, By: m.ChangedBy, At: m.ChangedAt.UTC()}
}

// Named returns the rows of a name: that of its entry and that of its override, nil where there is none.
func (t *Table) Named(ctx context.Context, name string) (entry, override *Row, err error) {
	db, err := t.within(ctx)
	if err != nil {
		return nil, nil, err
	}
	var found []models.ScheduleEntry
	if err := db.Where("name = ?", name).Find(&found).Error; err != nil {
		return nil, nil, fmt.Errorf("read schedule %s: %w", name, err)
	}
	for i := range found {
		row := rowOf(&found[i])
		if row.Kind == KindEntry {
			entry = &row
		} else {
			override = &row
		}
	}
	return entry, override, nil
}

const changeTries = 5

// Edit changes a row in one transaction with the revision. It gives change the row as it is, nil where there is none, and writes
// what comes back; nil deletes it. Changes come one after the other. An error of change, or the row as it was, changes
// nothing. With ErrTooMany the table is full.
func (t *Table) Edit(ctx context.Context, kind, name string, change func(now *Row) (*Row, error)) error {
	return t.change(ctx, func(tx *gorm.DB) error {
		var found []models.ScheduleEntry
		if err := tx.Where("name = ? AND kind = ?", name, kind).Find(&found).Error; err != nil {
			return err
		}
		var now *Row
		if len(found) > 0 {
			row := rowOf(&found[0])
			now = &row
		}
		next, err := change(now)
		switch {
		case err != nil:
			return err
		case next == nil && now == nil, next != nil && now != nil && *next == *now:
			return errUnchanged
		case next == nil:
			return tx.Where("name = ? AND kind = ?", name, kind).Delete(&models.ScheduleEntry{}).Error
		}
		if now == nil {
			var rows int64
			if err := tx.Model(&models.ScheduleEntry{}).Count(&rows).Error; err != nil {
				return err
			}
			if rows >= MaxEntries {
				return ErrTooMany
			}
		}
		return tx.Clauses(clause.OnConflict{UpdateAll: true}).Create(&models.ScheduleEntry{
			Name: name, Kind: kind, Entry: next.Entry, Paused: next.Paused, Base: next.Base, ChangedBy: next.By,
			ChangedAt: next.At.UTC().Truncate(time.Microsecond),
		}).Error
	})
}

var errUnchanged = errors.New("nothing has changed")

// change raises the revision and calls f in one transaction. The row of the revision lets one change after the other.
func (t *Table) change(ctx context.Context, f func(tx *gorm.DB) error) error {
	db, err := t.within(ctx)
	if err != nil {
		return err
	}
	for try := 1; ; try++ {
		err = db.Transaction(func(tx *gorm.DB) error {
			if err := raise(tx, 0); err != nil {
				return err
			}
			return f(tx)
		})
		if err == nil || try == changeTries || !models.IsDuplicate(err) && !models.IsConflict(err) {
			break
		}
	}
	if errors.Is(err, errUnchanged) {
		return nil
	}
	return err
}

// raise adds 1 to the revision, or has it be above least if that is more. It fails with a duplicate beside another first change.
func raise(tx *gorm.DB, least int64) error {
	next := gorm.Expr("CASE WHEN revision < ? THEN ? ELSE revision END + 1", least, least)
	done := tx.Model(&models.ScheduleRevision{}).Where("id = ?", revisionID).Update("revision", next)
	if done.Error != nil {
		return fmt.Errorf("raise the revision of the schedules: %w", done.Error)
	}
	if done.RowsAffected > 0 {
		return nil
	}
	if err := tx.Create(&models.ScheduleRevision{ID: revisionID, Revision: least + 1}).Error; err != nil {
		return fmt.Errorf("raise the revision of the schedules: %w", err)
	}
	return nil
}

// Raise has the revision be above one that schedulers have seen, for a database that is older than they are: a backup, or a new
// one.
func (t *Table) Raise(ctx context.Context, above int64) error {
	db, err := t.within(ctx)
	if err != nil {
		return err
	}
	return db.Transaction(func(tx *gorm.DB) error { return raise(tx, above) })
}

// Tidy drops what the file has overtaken: overrides of entries that it does not have any more, and of those that have changed all
// but the pause. It asks inForce whether this is still the file in force after it has written and before it commits; an error
// of inForce keeps all. So an older file takes nothing from a newer one, however long the database takes.
func (t *Table) Tidy(ctx context.Context, file *Schedule, inForce func() error) (dropped []string, err error) {
	db, err := t.within(ctx)
	if err != nil {
		return nil, err
	}
	var waiting int64 // most schedulers find nothing, and lock nothing
	if err := db.Model(&models.ScheduleEntry{}).Where("kind = ?", KindOverride).Count(&waiting).Error; err != nil || waiting == 0 {
		return nil, err
	}
	err = t.change(ctx, func(tx *gorm.DB) error {
		dropped = nil
		var found []models.ScheduleEntry
		if err := tx.Where("kind = ?", KindOverride).Find(&found).Error; err != nil {
			return err
		}
		for i := range found {
			row := rowOf(&found[i])
			e, there := file.Find(row.Name)
			if there && row.Base == e.Base {
				continue
			}
			at := tx.Model(&models.ScheduleEntry{}).Where("name = ? AND kind = ?", row.Name, KindOverride)
			if there && row.Paused != nil {
				if row.Entry == "" { // there is nothing but the pause
					continue
				}
				at = at.Update("entry", "")
			} else {
				at = at.Delete(&models.ScheduleEntry{})
			}
			if at.Error != nil {
				return at.Error
			}
			dropped = append(dropped, row.Name)
		}
		if len(dropped) == 0 {
			return errUnchanged
		}
		return inForce()
	})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(dropped, strings.Compare)
	return dropped, nil
}
