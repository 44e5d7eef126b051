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
	statement, params := kindsStatement(s.table.dialect, task)
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

func kindsStatement(d dialect, task string) (statement string, params []any) {
	statement = "SELECT DISTINCT task, queue, state FROM paidui_task_records " + d.kindIndex
	if task != "" {
		return statement + " WHERE task = ?", []any{task}
	}
	return statement, nil
}

// kindsOneByOne does what SQLite's DISTINCT does not: it leaps from each kind to the next.
func (s *Store) kindsOneByOne(ctx context.Context, task string) (list []kind, err error) {
	at := kind{task: task}
	for {
		found := false
		err := query(ctx, s.table.pool, "SELECT task, queue, state FROM paidui_task_records "+s.table.dialect.kindIndex+
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
	for part := range slices.Chunk(kinds, kindBatch) {
		statement, params := newestStatement(s.table.dialect, part, in, n)
		err := query(ctx, s.table.pool, statement, params, func(scan func(...any) error) error {
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

// newestStatement asks for the n first places of each kind, all in one.
func newestStatement(d dialect, kinds []kind, in span, n int) (statement string, params []any) {
	bounds, boundParams := in.conditions()
	one := "SELECT * FROM (SELECT created_at, task_id FROM paidui_task_records " + d.kindIndex +
		" WHERE task = ? AND queue = ? AND state = ?" + bounds + " ORDER BY created_at DESC, task_id DESC LIMIT ?) k"
	for _, k := range kinds {
		params = append(params, k.task, k.queue, k.state)
		params = append(append(params, boundParams...), n)
	}
	return one + strings.Repeat(" UNION ALL "+one, len(kinds)-1), params
}

// link is a table whose rows lead to records: by its key column, then created_at and task_id.
type link struct{ table, column string }

var (
	byTag   = link{"paidui_task_tags", "tag"}
	byGroup = link{"paidui_task_failures", "error_group"}
)

// statement asks for the n first places of a value of the key.
func (l link) statement(value string, in span, n int) (statement string, params []any) {
	bounds, boundParams := in.conditions()
	return "SELECT created_at, task_id FROM " + l.table + " WHERE " + l.column + " = ?" + bounds + " ORDER BY created_at DESC, task_id DESC LIMIT ?",
		append(append([]any{value}, boundParams...), n)
}

func scanPlace(scan func(...any) error) (p place, err error) {
	err = scan(&p.at, &p.id)
	p.at = p.at.UTC()
	return p, err
}
