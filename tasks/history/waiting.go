package history

import (
	"context"
	"database/sql"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/paidui/paidui/models"
)

const (
	waitingHeads = 200 // bundles of which a search reads at once what is in them
	waitingWork  = 20  // bundles that a page unpacks, or more where many overlap
	waitingBatch = 256 // tasks that are looked up at once
)

// waiting looks in the bundles for what belongs on a page of n places: the tasks that wait, as the records that they have
// none of yet, and the places of those whose records the query wants and that are there by now. floor is where the
// records that were found fill the page: it looks no further; the zero place is no bound. If the page must end early, more
// says where.
func (s *Store) waiting(ctx context.Context, q *Query, after, floor place, n int) (list []found, more place, err error) {
	if q.State != "" && string(q.State) != statePending {
		return nil, place{}, nil
	}
	w := waitingSearch{Store: s, query: q, after: after, floor: floor, n: n, seen: make(map[string]bool)}
	more, err = w.run(ctx)
	return w.list, more, err
}

// found is one place of a page, with its record if that is in a bundle.
type found struct {
	place
	record *models.TaskRecord
}

type waitingSearch struct {
	*Store
	query        *Query
	after, floor place
	n            int

	open []*row // of the bundles that were unpacked, newest first
	list []found
	seen map[string]bool // ids in open and in the list, or taken from there
}

// head is what a search reads of each bundle.
type head struct {
	id     int64
	lastAt time.Time
	kinds  string
}

func (w *waitingSearch) run(ctx context.Context) (more place, err error) {
	unpacked := 0
	for from := w.newest(); ; {
		heads, err := w.heads(ctx, from)
		if err != nil {
			return more, err
		}
		for _, h := range heads {
			// What is newer than this bundle's last, and than those of the following ones, is all there.
			edge := place{h.lastAt.Add(time.Microsecond), "0"}
			if err := w.lookUp(ctx, edge); err != nil || w.full() || w.beyond(edge) {
				return more, err
			}
			if unpacked >= waitingWork && w.after.compare(edge) < 0 {
				return edge, nil
			}
			if !w.query.mayHold(h.kinds) {
				continue
			}
			unpacked++
			if err := w.unpack(ctx, h.id); err != nil {
				return more, err
			}
		}
		if len(heads) < waitingHeads {
			return more, w.lookUp(ctx, place{})
		}
		from = heads[len(heads)-1]
	}
}

// newest is before the first bundle that can hold a task of the page.
func (w *waitingSearch) newest() head {
	at := endOfTime
	for _, bound := range []time.Time{w.after.at, w.query.Until} {
		if !bound.IsZero() && bound.Add(bundleSpan).Before(at) {
			at = bound.Add(bundleSpan)
		}
	}
	return head{id: 1<<63 - 1, lastAt: at}
}

const (
	headsStatement = "SELECT id, last_at, kinds FROM task_bundles WHERE last_at <= ? AND (last_at < ? OR id < ?)"
	headsOrder     = " ORDER BY last_at DESC, id DESC LIMIT ?"
)

// heads lists bundles after one, those first that end latest.
func (w *waitingSearch) heads(ctx context.Context, from head) (list []head, err error) {
	statement := headsStatement
	params := []any{from.lastAt, from.lastAt, from.id}
	if !w.query.Since.IsZero() {
		statement += " AND last_at >= ?"
		params = append(params, w.query.Since)
	}
	for _, before := range []time.Time{w.query.Until, w.after.at} {
		if !before.IsZero() {
			statement += " AND first_at <= ?"
			params = append(params, before)
		}
	}
	err = query(ctx, w.table.pool, statement+headsOrder, append(params, waitingHeads), func(scan func(...any) error) error {
		var h head
		if err := scan(&h.id, &h.lastAt, &h.kinds); err != nil {
			return err
		}
		h.lastAt = h.lastAt.UTC()
		list = append(list, h)
		return nil
	})
	return list, err
}

func (w *waitingSearch) full() bool { return len(w.list) >= w.n }

// beyond tells whether the page ends before the place.
func (w *waitingSearch) beyond(p place) bool { return w.floor.id != "" && w.floor.compare(p) < 0 }

// unpack adds what the query wants of a bundle. One that can't be read is the settler's matter.
func (w *waitingSearch) unpack(ctx context.Context, id int64) error {
	b, err := w.openBundle(ctx, id)
	if err != nil || b == nil { // gone: its tasks have records by now
		return err
	}
	rows, err := unpack(b)
	if err != nil {
		return nil
	}
	for i := range rows {
		if r := &rows[i]; w.wants(r) && !w.seen[r.id] {
			w.seen[r.id] = true
			w.open = append(w.open, r)
		}
	}
	slices.SortFunc(w.open, func(a, b *row) int { return placeOf(a).compare(placeOf(b)) })
	return nil
}

func placeOf(r *row) place { return place{r.at, r.id} }

func (w *waitingSearch) wants(r *row) bool {
	q := w.query
	return q.allows(kind{r.task, r.queue, r.state}) &&
		(w.after.id == "" || w.after.compare(placeOf(r)) < 0) && !w.beyond(placeOf(r)) &&
		(q.Since.IsZero() || !r.at.Before(q.Since)) && (q.Until.IsZero() || r.at.Before(q.Until))
}

// lookUp moves the open rows before the edge to the list, until it is full; all of them with the zero place. Rows of tasks
// that have records become these, if the query wants them.
func (w *waitingSearch) lookUp(ctx context.Context, edge place) error {
	for !w.full() && len(w.open) > 0 {
		part := w.open[:min(len(w.open), waitingBatch)]
		if edge.id != "" {
			n, _ := slices.BinarySearchFunc(part, edge, func(r *row, edge place) int { return placeOf(r).compare(edge) })
			part = part[:n]
		}
		if len(part) == 0 {
			return nil
		}
		w.open = w.open[len(part):]
		stored, err := lookUp(ctx, w.table.pool, idsOf(part))
		if err != nil {
			return err
		}
		for _, r := range part {
			k, known := stored[r.id]
			switch {
			case !known || r.at.After(k.at):
				w.list = append(w.list, found{placeOf(r), recordOf(r)})
			case k.at.Equal(r.at) && w.query.allows(kind{r.task, r.queue, k.state}):
				w.list = append(w.list, found{placeOf(r), nil})
			}
		}
	}
	return nil
}

const (
	filtersStatement = "SELECT id, filter FROM task_bundles WHERE last_at BETWEEN ? AND ? AND first_at <= ?"
	// The database looks for the bytes of an id in the bundles: that costs a tenth of reading and unpacking them here, which
	// is left to do for the one that has them.
	bundlesWithStatement = "SELECT id FROM task_bundles WHERE INSTR(records, ?) > 0 AND id IN ("
)

// bundleLooks is how many look into bundles for an id at a time; others wait. Anybody may ask for any id.
const bundleLooks = 2

// inBundle looks for a task in the bundles of the time that its id tells; it is nil when it is not there.
func (s *Store) inBundle(ctx context.Context, id string) (*models.TaskRecord, error) {
	_, u, ok := splitID(id)
	if !ok {
		return nil, nil
	}
	at := timeOf(u)
	select {
	case s.looks <- struct{}{}:
		defer func() { <-s.looks }()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	bundles, err := s.bundlesWith(ctx, at, u)
	if err != nil {
		return nil, err
	}
	for _, bundle := range bundles {
		b, err := s.openBundle(ctx, bundle)
		if err != nil {
			return nil, err
		}
		if b == nil {
			continue
		}
		rows, err := unpack(b)
		if err != nil {
			continue // the settler's matter
		}
		for i := range rows {
			if rows[i].id == id {
				return recordOf(&rows[i]), nil
			}
		}
	}
	return nil, nil
}

// bundlesWith lists the bundles of that time that have the UUID.
func (s *Store) bundlesWith(ctx context.Context, at time.Time, u uuid.UUID) (bundles []int64, err error) {
	params := []any{u[:]}
	var id int64
	var filter sql.RawBytes
	err = query(ctx, s.table.pool, filtersStatement, []any{at.Add(-idSkew), at.Add(idSkew + bundleSpan), at.Add(idSkew)},
		func(scan func(...any) error) error {
			err := scan(&id, &filter)
			if err == nil && mayContain(filter, u) {
				params = append(params, id)
			}
			return err
		})
	if err != nil || len(params) == 1 {
		return nil, err
	}
	err = query(ctx, s.table.pool, bundlesWithStatement+marks(len(params)-1)+")", params, func(scan func(...any) error) error {
		err := scan(&id)
		bundles = append(bundles, id)
		return err
	})
	return bundles, err
}

// idsOf are the rows' ids, as parameters.
func idsOf(rows []*row) []any {
	list := make([]any, len(rows))
	for i, r := range rows {
		list[i] = r.id
	}
	return list
}
