package history

import (
	"context"
	"errors"
	"fmt"
	"time"

	"gorm.io/gorm"

	"github.com/paidui/paidui/models"
	"github.com/paidui/paidui/tasks"
)

const (
	convertAtOnce = 20 // bundles that a search or a settler's step turns into rows
	// idSkew is how far the time in a generated id may be from that of its record.
	idSkew = 100 * time.Millisecond
)

// conversion counts the tasks of bundles that are rows now.
type conversion struct {
	rows    int // that had no record, or one that lacked something
	known   int // that had a record of their own
	refused int // of the rows, those that the database does not take
}

// convertBefore turns those of the bundles into rows that begin before a time, the ones with the newest tasks first, until
// it has seen convertAtOnce. A search thus finds the tasks even while earlier builds write bundles: all that come before the
// edge, which is zero when no bundle is left.
func (s *Store) convertBefore(ctx context.Context, at time.Time) (edge place, err error) {
	ids, lastAt, err := s.bundleIDs(ctx, bundlesBefore, at, convertAtOnce)
	if err != nil {
		return edge, err
	}
	if len(ids) == convertAtOnce {
		edge = place{lastAt.Add(time.Microsecond), "0"}
	}
	_, err = s.convertBundles(ctx, ids)
	return edge, err
}

const (
	bundlesStatement = "SELECT id, last_at FROM paidui_task_bundles WHERE "
	bundlesBefore    = "first_at <= ? ORDER BY last_at DESC LIMIT ?"
	bundlesAfter     = "id > ? ORDER BY id LIMIT ?"
)

// bundleIDs lists bundles, and tells when the last task of the last one was enqueued.
func (s *Store) bundleIDs(ctx context.Context, condition string, params ...any) (ids []int64, lastAt time.Time, err error) {
	err = query(ctx, s.table.pool, bundlesStatement+condition, params, func(scan func(...any) error) error {
		var id int64
		err := scan(&id, &lastAt)
		ids = append(ids, id)
		return err
	})
	if err != nil {
		return nil, lastAt, fmt.Errorf("history: look for bundles: %w", err)
	}
	return ids, lastAt.UTC(), nil
}

// convertBundles turns bundles into rows. One that is gone, or that another process has changed meanwhile, is left out, and
// so is one that can't be read, which stays for a program that can read it, or an operator who removes it.
func (s *Store) convertBundles(ctx context.Context, ids []int64) (done conversion, err error) {
	for _, id := range ids {
		if _, known := s.unreadable.Load(id); known {
			continue
		}
		one, err := s.convertBundle(ctx, id)
		switch {
		case errors.Is(err, errBundle):
			if _, known := s.unreadable.LoadOrStore(id, true); !known {
				s.logger.ErrorContext(ctx, "records of tasks that wait are missing in the history", "error", err)
			}
		case errors.Is(err, errTaken):
		case err != nil:
			return done, fmt.Errorf("history: turn bundle %d into rows: %w", id, err)
		}
		done.rows += one.rows
		done.known += one.known
		done.refused += one.refused
	}
	return done, nil
}

// errTaken says that another process has changed or deleted a bundle since it was read.
var errTaken = errors.New("another process has the bundle by now")

// convertBundle deletes a bundle and writes its rows, in one transaction. Settlers of earlier builds change look_at when they
// take a bundle: then nothing is written, and the next try finds what they have left.
func (s *Store) convertBundle(ctx context.Context, id int64) (done conversion, err error) {
	var b models.TaskBundle
	err = s.db.WithContext(ctx).Take(&b, id).Error
	switch {
	case errors.Is(err, gorm.ErrRecordNotFound):
		return done, errTaken
	case err != nil:
		return done, err
	}
	rows, err := unpack(&b)
	if err != nil {
		return done, err
	}
	replace := func(rows []*row) error {
		return s.table.transact(ctx, func(tx *session) error {
			deleted, err := tx.conn.ExecContext(ctx, "DELETE FROM paidui_task_bundles WHERE id = ? AND look_at = ?", b.ID, b.LookAt.UTC())
			if err != nil {
				return err
			}
			if n, err := deleted.RowsAffected(); n == 0 || err != nil {
				return errors.Join(err, errTaken)
			}
			done.rows, err = s.table.put(ctx, tx, rows)
			return err
		})
	}
	if err = replace(rows); err == nil || errors.Is(err, errTaken) {
		done.known = len(rows) - done.rows
		return done, err
	}
	// The database may refuse one of the rows. What is written of the others does no harm if the bundle stays.
	if s.table.writeAccepted(ctx, rows, flushLimit) != nil {
		return conversion{}, err
	}
	if err = replace(nil); err != nil {
		return conversion{}, err
	}
	for _, r := range rows {
		if r.form == formRefused {
			done.refused++
		}
	}
	done.rows = len(rows)
	return done, nil
}

// timeInID is when a generated id was made; not ok for an id of the caller's choice.
func timeInID(id string) (at time.Time, ok bool) {
	if !tasks.IsMadeID(id) {
		return at, false
	}
	at, _, ok = tasks.IDOrigin(id)
	return at.UTC(), ok
}
