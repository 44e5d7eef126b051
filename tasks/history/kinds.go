package history

import (
	"context"
	"slices"
	"strings"
)

// kind is what the records of one range of idx_task_records_kind have in common.
type kind struct{ task, queue, state string }

// maxKinds is how many kinds a search merges at most.
const maxKinds = 1000

// kinds lists those that there are, of one task or of all: a dive into the index for each.
func (s *Store) kinds(ctx context.Context, task string) (list []kind, err error) {
	if s.table.dialect.local {
		return s.kindsOneByOne(ctx, task)
	}
	statement, params := "SELECT DISTINCT task, queue, state FROM task_records "+s.table.dialect.kindIndex, []any(nil)
	if task != "" {
		statement, params = statement+" WHERE task = ?", []any{task}
	}
	err = query(ctx, s.table.pool, statement, params, func(scan func(...any) error) error {
		var k kind
		if err := scan(&k.task, &k.queue, &k.state); err != nil {
			return err
		}
		list = append(list, k)
		return nil
	})
	return list, err
}

// kindsOneByOne does what SQLite's DISTINCT does not: it leaps from each kind to the next.
func (s *Store) kindsOneByOne(ctx context.Context, task string) (list []kind, err error) {
	at := kind{task: task}
	for {
		found := false
		err := query(ctx, s.table.pool, "SELECT task, queue, state FROM task_records "+s.table.dialect.kindIndex+
			" WHERE (task, queue, state) > (?, ?, ?) ORDER BY task, queue, state LIMIT 1", []any{at.task, at.queue, at.state},
			func(scan func(...any) error) error {
				found = true
				return scan(&at.task, &at.queue, &at.state)
			})
		if err != nil {
			return nil, err
		}
		if !found || task != "" && at.task != task {
			return list, nil
		}
		list = append(list, at)
	}
}

// span is a range of times and places.
type span struct {
	after place  // the zero place is no bound
	query *Query // since and until
}

// conditions restrict created_at and task_id (or what stands for them) to the span.
func (p span) conditions() (text string, params []any) {
	var b strings.Builder
	if !p.after.at.IsZero() {
		b.WriteString(" AND (created_at < ? OR created_at = ? AND task_id < ?)")
		params = append(params, p.after.at, p.after.at, p.after.id)
	}
	if !p.query.Since.IsZero() {
		b.WriteString(" AND created_at >= ?")
		params = append(params, p.query.Since)
	}
	if !p.query.Until.IsZero() {
		b.WriteString(" AND created_at < ?")
		params = append(params, p.query.Until)
	}
	return b.String(), params
}

// kindBatch is how many kinds one statement asks for.
const kindBatch = 50

// newest are the n first places of the span among the records of the kinds.
func (s *Store) newest(ctx context.Context, kinds []kind, in span, n int) ([]place, error) {
	var all []place
	bounds, boundParams := in.conditions()
	one := "SELECT * FROM (SELECT created_at, task_id FROM task_records " + s.table.dialect.kindIndex +
		" WHERE task = ? AND queue = ? AND state = ?" + bounds + " ORDER BY created_at DESC, task_id DESC LIMIT ?) k"
	for part := range slices.Chunk(kinds, kindBatch) {
		var params []any
		for _, k := range part {
			params = append(params, k.task, k.queue, k.state)
			params = append(append(params, boundParams...), n)
		}
		err := query(ctx, s.table.pool, one+strings.Repeat(" UNION ALL "+one, len(part)-1), params, func(scan func(...any) error) error {
			p, err := scanPlace(scan)
			all = append(all, p)
			return err
		})
		if err != nil {
			return nil, err
		}
		slices.SortFunc(all, place.compare)
		all = all[:min(n, len(all))]
	}
	return all, nil
}

func scanPlace(scan func(...any) error) (p place, err error) {
	err = scan(&p.at, &p.id)
	p.at = p.at.UTC()
	return p, err
}
