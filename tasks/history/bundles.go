package history

import (
	"context"
	"errors"
	"strings"
	"time"

	"gorm.io/gorm"

	"github.com/paidui/paidui/models"
)

// bundle adds stubs to the bundles.
func (t *table) bundle(ctx context.Context, tx *session, stubs []stub) error {
	for _, b := range bundlesOf(stubs, time.Now()) {
		statement, err := tx.prepared(ctx, toBundles, func() string {
			return "INSERT INTO task_bundles (first_at, last_at, old, look_at, tasks, kinds, probe, records, filter) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
		})
		if err != nil {
			return err
		}
		if _, err := statement.ExecContext(ctx, b.FirstAt, b.LastAt, b.Old, b.LookAt, b.Tasks, b.Kinds, b.Probe, b.Records, b.Filter); err != nil {
			return err
		}
	}
	return nil
}

// due is a bundle that waits to be looked at.
type due struct {
	id             int64
	lookAt, lastAt time.Time
	probe          string
}

// dueBundles lists some that are due, of the old ones or of the others, first those that have waited longest.
func (s *Store) dueBundles(ctx context.Context, old bool, n int) ([]due, error) {
	return s.listBundles(ctx, dueStatement, old, s.now(), n)
}

const (
	bundlesStatement = "SELECT id, look_at, last_at, probe FROM task_bundles WHERE "
	dueStatement     = bundlesStatement + "old = ? AND look_at <= ? ORDER BY look_at LIMIT ?"
)

func (s *Store) listBundles(ctx context.Context, statement string, params ...any) (list []due, err error) {
	err = query(ctx, s.table.pool, statement, params, func(scan func(...any) error) error {
		var d due
		err := scan(&d.id, &d.lookAt, &d.lastAt, &d.probe)
		list = append(list, d)
		return err
	})
	return list, err
}

// settleBundles settles those that have nothing younger than a time, due or not, and calls each with what was found out.
func (s *Store) settleBundles(ctx context.Context, before time.Time, each func(*finding) error) error {
	for id := int64(0); ; {
		list, err := s.listBundles(ctx, bundlesStatement+"id > ? AND last_at < ? ORDER BY id LIMIT ?", id, before, skimmed)
		if err != nil || len(list) == 0 {
			return err
		}
		id = list[len(list)-1].id
		list, ended, err := s.clear(ctx, list)
		if err != nil {
			return err
		}
		if err := each(&finding{ended: ended}); err != nil {
			return err
		}
		for _, d := range list {
			b, err := s.claim(ctx, d)
			if err != nil {
				return err
			}
			if b == nil {
				continue // another settles it
			}
			found, err := s.settleBundle(ctx, b)
			switch {
			case errors.Is(err, errTaken), errors.Is(err, errBundle):
				continue
			case err != nil:
				return err
			}
			if err := each(found); err != nil {
				return err
			}
		}
	}
}

// skim asks for the probes of bundles. It puts off those that are young and of which nothing has ended, and returns those
// of which all may have ended, and the others.
func (s *Store) skim(ctx context.Context, list []due) (whole, others []due, err error) {
	var ids []any
	for _, d := range list {
		for _, id := range strings.Fields(d.probe) {
			ids = append(ids, id)
		}
	}
	known, err := s.known(ctx, ids)
	if err != nil {
		return nil, nil, err
	}
	now := s.now()
	for _, d := range list {
		asked, ended := 0, 0
		for _, id := range strings.Fields(d.probe) {
			asked++
			if _, found := known[id]; found {
				ended++
			}
		}
		age := now.Sub(d.lastAt)
		switch {
		case ended == asked:
			whole = append(whole, d)
		case ended > 0 || age > settledAfter:
			others = append(others, d)
		default:
			if err := s.postpone(ctx, d.id, d.lookAt, false, nextLook(now, age)); err != nil {
				return nil, nil, err
			}
		}
	}
	return whole, others, nil
}

// clear deletes those of the bundles of which all tasks have records, and returns the others, and how many tasks it was. It
// claims none of them first: if another settles one at the same time, nothing is lost but the work.
func (s *Store) clear(ctx context.Context, list []due) (others []due, ended int, err error) {
	if len(list) == 0 {
		return nil, 0, nil
	}
	byID := make(map[int64]due, len(list))
	ids := make([]int64, len(list))
	for i, d := range list {
		byID[d.id], ids[i] = d, d.id
	}
	var bundles []*models.TaskBundle
	if err := s.db.WithContext(ctx).Select("id, tasks, records").Find(&bundles, ids).Error; err != nil {
		return nil, 0, err
	}
	var gone []any
	for _, b := range bundles {
		d := byID[b.ID]
		all, err := s.allKnown(ctx, b)
		switch {
		case errors.Is(err, errBundle) || err == nil && !all:
			others = append(others, d)
		case err != nil:
			return nil, 0, err
		default:
			gone = append(gone, d.id, d.lookAt)
			ended += b.Tasks
		}
	}
	if len(gone) == 0 {
		return others, 0, nil
	}
	const one = "id = ? AND look_at = ?"
	_, err = s.table.pool.ExecContext(ctx, "DELETE FROM task_bundles WHERE "+one+strings.Repeat(" OR "+one, len(gone)/2-1), gone...)
	return others, ended, err
}

// claim is nil when another has claimed the bundle, or settled it.
func (s *Store) claim(ctx context.Context, d due) (*models.TaskBundle, error) {
	until := s.now().UTC().Add(lease).Truncate(time.Microsecond)
	if !until.After(d.lookAt) { // claimed, or put off: it is taken from whoever has it, who then keeps nothing
		until = d.lookAt.Add(time.Microsecond)
	}
	done, err := s.table.pool.ExecContext(ctx, "UPDATE task_bundles SET look_at = ? WHERE id = ? AND look_at = ?", until, d.id, d.lookAt)
	if err != nil {
		return nil, err
	}
	if n, err := done.RowsAffected(); n == 0 || err != nil {
		return nil, err
	}
	b, err := s.openBundle(ctx, d.id)
	if b == nil || !b.LookAt.Equal(until) {
		return nil, err
	}
	return b, nil
}

// openBundle reads a bundle whole; it is nil when it is gone.
func (s *Store) openBundle(ctx context.Context, id int64) (*models.TaskBundle, error) {
	var b models.TaskBundle
	err := s.db.WithContext(ctx).Take(&b, id).Error
	if errors.Is(err, gorm.ErrRecordNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	b.FirstAt, b.LastAt, b.LookAt = b.FirstAt.UTC(), b.LastAt.UTC(), b.LookAt.UTC()
	return &b, nil
}

const mine = " WHERE id = ? AND look_at = ?" // restricts a statement to a bundle, if nobody has claimed it since

// postpone gives a bundle back as it is, unless another has claimed it.
func (s *Store) postpone(ctx context.Context, id int64, lookAt time.Time, old bool, then time.Time) error {
	_, err := s.table.pool.ExecContext(ctx, "UPDATE task_bundles SET old = ?, look_at = ?"+mine, old, then, id, lookAt)
	return err
}

// errTaken says that a bundle's lease has ended, and another has claimed it since.
var errTaken = errors.New("another process has the bundle by now")

// keep writes what was found out about a claimed bundle's tasks, and what is left of it, to be looked at again then.
func (s *Store) keep(ctx context.Context, b *models.TaskBundle, found *finding, old bool, then time.Time) error {
	statement, params := "DELETE FROM task_bundles"+mine, []any{b.ID, b.LookAt}
	switch left := found.left; {
	case len(left) == 0:
	case len(left) > b.Tasks/2: // what has ended is found out again each time, which costs less than to write
		statement = "UPDATE task_bundles SET old = ?, look_at = ?" + mine
		params = append([]any{old, then}, params...)
	default:
		stubs := make([]stub, len(left))
		for i, r := range left {
			prefix, id, _ := splitID(r.id)
			stubs[i] = stub{r, prefix, id}
		}
		statement = "UPDATE task_bundles SET old = ?, look_at = ?, first_at = ?, last_at = ?, tasks = ?, kinds = ?, probe = ?, records = ?, filter = ?" + mine
		params = append([]any{
			old, then, left[0].at, left[len(left)-1].at, len(left), kindsOf(stubs), probeOf(stubs), pack(stubs), filterOf(stubs),
		}, params...)
	}
	err := s.replace(ctx, found.news, statement, params)
	if err == nil || len(found.news) == 0 || errors.Is(err, errTaken) {
		return err
	}
	// The database may refuse one of the rows. What is written of them does no harm if the bundle stays.
	if s.table.sift(ctx, found.news, flushLimit) != nil {
		return err
	}
	for _, r := range found.news {
		if r.form == formRefused {
			found.refused++
		}
	}
	return s.replace(ctx, nil, statement, params)
}

// replace writes rows, and what the statement says of a bundle that is still claimed.
func (s *Store) replace(ctx context.Context, news []*row, statement string, params []any) error {
	return s.table.transact(ctx, func(tx *session) error {
		if _, err := s.table.put(ctx, tx, news); err != nil {
			return err
		}
		done, err := tx.conn.ExecContext(ctx, statement, params...)
		if err != nil {
			return err
		}
		if n, err := done.RowsAffected(); n == 0 && err == nil {
			return errTaken
		}
		return err
	})
}
