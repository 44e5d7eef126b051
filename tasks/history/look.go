package history

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/paidui/paidui/models"
)

// When a bundle is looked at: when the ends of quick tasks have been written; then whenever it has become twice as old;
// and once it is old, and compared with Redis, less and less often.
const (
	firstLook = 2 * time.Second
	rareLook  = 5 * time.Minute
	lease     = time.Minute // for which whoever looks at a bundle has it
)

// fewLeft is how few tasks of an old bundle become rows, so that there are not ever more bundles with ever less in them.
const fewLeft = 32

// finding is what has become of the tasks of a bundle.
type finding struct {
	left []*row // that wait still, in their order
	news []*row // to be written

	ended, changed, lost, rows, refused int // of those that are not left: see the metrics
}

// look finds out what has become of a bundle's tasks. Those that have not ended are compared with Redis when they are
// old, or else left as they are.
func (s *Store) look(ctx context.Context, b *models.TaskBundle, old bool) (*finding, error) {
	all, err := unpack(b)
	if err != nil {
		return nil, err
	}
	f := &finding{left: make([]*row, len(all))}
	for i := range all {
		f.left[i] = &all[i]
	}
	if err := s.leaveOutKnown(ctx, f); err != nil {
		return nil, fmt.Errorf("history: look for the records of bundle %d: %w", b.ID, err)
	}
	if old && len(f.left) > 0 {
		if err := s.leaveOutChanged(ctx, f); err != nil {
			return nil, err
		}
		if len(f.left) <= fewLeft {
			f.rows = len(f.left)
			f.news, f.left = append(f.news, f.left...), nil
		}
	}
	return f, nil
}

// leaveOutKnown takes those tasks out that have records of their own.
func (s *Store) leaveOutKnown(ctx context.Context, f *finding) error {
	known, err := s.knownAmong(ctx, f.left)
	if err != nil {
		return err
	}
	var left []*row
	for _, r := range f.left {
		k, found := known[r.id]
		switch {
		case !found:
			left = append(left, r)
			continue
		case r.args != "" && !k.args, r.request != "" && !k.request: // whoever revoked it does not know the arguments
			f.news = append(f.news, r)
		}
		f.ended++
	}
	f.left = left
	return nil
}

// parts tells what a record has that a stub could add. Whatever a record of the same task says else is newer.
type parts struct{ args, request bool }

const (
	partsStatement = "SELECT task_id, args <> '', request_id <> '' FROM task_records WHERE "
	partsRange     = "task_id BETWEEN ? AND ? ORDER BY task_id LIMIT ?"
)

// knownAmong are those of the tasks that have records. It reads ranges of the primary key, in which ids that were made one
// after the other are neighbors: that costs the database a third of asking for each. Where there is too much between them
// it asks.
func (s *Store) knownAmong(ctx context.Context, rows []*row) (map[string]parts, error) {
	byPrefix := make(map[string][]string)
	for _, r := range rows {
		prefix := r.id[:len(r.id)-uuidLength]
		byPrefix[prefix] = append(byPrefix[prefix], r.id)
	}
	known := make(map[string]parts, len(rows))
	var rest []any
	for _, ids := range byPrefix {
		slices.Sort(ids)
		if len(ids) >= leastBundle {
			most := 2*len(ids) + 1
			found, last, err := s.knownParts(ctx, known, partsRange, ids[0], ids[len(ids)-1], most)
			if err != nil {
				return nil, err
			}
			if found < most {
				continue
			}
			next, _ := slices.BinarySearch(ids, last)
			ids = ids[next:]
		}
		for _, id := range ids {
			rest = append(rest, id)
		}
	}
	asked, err := s.known(ctx, rest)
	maps.Copy(known, asked)
	return known, err
}

// allKnown tells whether all tasks of a bundle have records that lack nothing. Nearly every bundle ends so, so this reads the
// range once, and compares as it reads.
func (s *Store) allKnown(ctx context.Context, b *models.TaskBundle) (bool, error) {
	type key struct {
		uuid  uuid.UUID
		parts parts
	}
	byPrefix := make(map[string][]key)
	err := eachStub(b, func(one *stubIn) {
		byPrefix[one.prefix] = append(byPrefix[one.prefix], key{one.uuid, parts{one.args != "", one.request != ""}})
	})
	if err != nil {
		return false, err
	}
	for prefix, keys := range byPrefix {
		slices.SortFunc(keys, func(a, b key) int { return bytes.Compare(a.uuid[:], b.uuid[:]) })
		first, last := prefix+keys[0].uuid.String(), prefix+keys[len(keys)-1].uuid.String()
		var raw sql.RawBytes
		var has parts
		err := query(ctx, s.table.pool, partsStatement+partsRange, []any{first, last, 2*len(keys) + 1}, func(scan func(...any) error) error {
			if err := scan(&raw, &has.args, &has.request); err != nil || len(keys) == 0 || len(raw) != len(first) {
				return err
			}
			id, err := uuid.ParseBytes(raw[len(prefix):])
			if err == nil && id == keys[0].uuid && (has.args || !keys[0].parts.args) && (has.request || !keys[0].parts.request) {
				keys = keys[1:]
			}
			return nil
		})
		if err != nil || len(keys) > 0 {
			return false, err
		}
	}
	return true, nil
}

// known are those of the tasks that have records.
func (s *Store) known(ctx context.Context, ids []any) (map[string]parts, error) {
	known := make(map[string]parts)
	for part := range slices.Chunk(ids, statementRows[0]) {
		if _, _, err := s.knownParts(ctx, known, "task_id IN ("+marks(len(part))+")", part...); err != nil {
			return nil, err
		}
	}
	return known, nil
}

func (s *Store) knownParts(ctx context.Context, known map[string]parts, condition string, params ...any) (n int, last string, err error) {
	err = query(ctx, s.table.pool, partsStatement+condition, params, func(scan func(...any) error) error {
		var p parts
		err := scan(&last, &p.args, &p.request)
		known[last] = p
		n++
		return err
	})
	return n, last, err
}

// leaveOutChanged takes those tasks out of which Redis knows better, or nothing.
func (s *Store) leaveOutChanged(ctx context.Context, f *finding) error {
	records := make([]*models.TaskRecord, len(f.left))
	for i, r := range f.left {
		records[i] = recordOf(r)
	}
	changed, lost, err := s.judge(ctx, records)
	if err != nil || len(changed) == 0 {
		return err
	}
	f.lost, f.changed = lost, len(changed)-lost
	gone := make(map[string]bool, len(changed))
	for _, r := range changed {
		gone[r.TaskID] = true
		f.news = append(f.news, rowOf(r))
	}
	left := f.left[:0]
	for _, r := range f.left {
		if !gone[r.id] {
			left = append(left, r)
		}
	}
	f.left = left
	return nil
}

// settleBundle looks at a claimed bundle and keeps what it finds.
func (s *Store) settleBundle(ctx context.Context, b *models.TaskBundle) (*finding, error) {
	now := s.now()
	age := now.Sub(b.LastAt)
	old := age > settledAfter
	f, err := s.look(ctx, b, old)
	if err != nil {
		return nil, err
	}
	return f, s.keep(ctx, b, f, old, nextLook(now, age))
}

// nextLook is when to look again at a bundle of that age.
func nextLook(now time.Time, age time.Duration) time.Time {
	return now.UTC().Add(min(max(age, firstLook), rareLook)).Truncate(time.Microsecond)
}
