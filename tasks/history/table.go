package history

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"

	"gorm.io/gorm"
)

// table writes rows. It is safe for concurrent use.
type table struct {
	pool    *sql.DB
	dialect dialect
	keep    bool                    // a connection, until close
	refused func(r *row, why error) // is told each time that a row was reduced because the database refuses it

	mu      sync.Mutex
	session *session // nil before the first transaction and after one that failed
}

func newTable(db *gorm.DB) (*table, error) {
	pool, err := db.DB()
	if err != nil {
		return nil, fmt.Errorf("history: %w", err)
	}
	t := &table{pool: pool, dialect: mysqlDialect, refused: func(r *row, why error) { logRefused(slog.Default(), r, why) }}
	if db.Name() == "sqlite" {
		t.dialect = sqliteDialect
	}
	return t, nil
}

const (
	maxStatement = 1 << 20 // bytes of a statement of several rows, about
)

// statementRows are the numbers of rows for which there is a statement. A batch is cut into as few of them as it takes.
var statementRows = []int{1024, 256, 64, 16, 4, 1}

const lookUpRows = 256 // of one question; MariaDB takes a thousand values of an IN for a table of their own

// write merges rows of different tasks into the table, in one transaction. Writing them again changes nothing. It
// returns how many rows it sent: those that would add nothing are left out.
func (t *table) write(ctx context.Context, rows []*row) (sent int, err error) {
	err = t.transact(ctx, func(tx *session) error {
		sent, err = t.put(ctx, tx, rows)
		return err
	})
	return sent, err
}

// put is write within a transaction.
func (t *table) put(ctx context.Context, tx *session, rows []*row) (sent int, err error) {
	if len(rows) == 0 {
		return 0, nil
	}
	// In one order, so that two writers wait for each other's locks instead of deadlocking.
	slices.SortFunc(rows, func(a, b *row) int { return strings.Compare(a.id, b.id) })
	stale, err := t.stale(ctx, tx, rows)
	if err != nil {
		return 0, err
	}
	var waiting, others []*row
	for _, r := range stale {
		if r.isPlainPending() {
			waiting = append(waiting, r)
		} else {
			others = append(others, r)
		}
	}
	if err := t.upsert(ctx, tx, fullRow, others); err != nil {
		return 0, err
	}
	if err := t.upsert(ctx, tx, pendingRow, waiting); err != nil {
		return 0, err
	}
	if err := t.tag(ctx, tx, others); err != nil {
		return 0, err
	}
	return len(stale), t.countFailures(ctx, tx, others)
}

// stale returns those of the rows of which the table's form is stale, or missing: it leaves out the rows of tasks that have
// not ended and of which the table knows as much already. Asking costs a fifth of an upsert, and the end of a quick task is
// often written before the record of its enqueuer.
func (t *table) stale(ctx context.Context, tx *session, rows []*row) ([]*row, error) {
	var ids []any
	for _, r := range rows {
		if !r.hasEnded() {
			ids = append(ids, r.id)
		}
	}
	if len(ids) == 0 {
		return rows, nil
	}
	stored, err := lookUp(ctx, tx.conn, ids)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(slices.Clone(rows), func(r *row) bool {
		k, found := stored[r.id]
		return found && !r.hasEnded() && !r.adds(k)
	}), nil
}

// lookUp tells what the table knows of tasks, by their ids.
func lookUp(ctx context.Context, q querier, ids []any) (map[string]known, error) {
	found := make(map[string]known)
	for part := range slices.Chunk(ids, lookUpRows) {
		err := query(ctx, q, "SELECT task_id, state, version, created_at, started_at, args <> '', tags <> '', request_id <> '', worker <> ''"+
			" FROM paidui_task_records WHERE task_id IN ("+marks(len(part))+")", part,
			func(scan func(...any) error) error {
				var id string
				var k known
				var started sql.NullTime
				if err := scan(&id, &k.state, &k.version, &k.at, &started, &k.args, &k.tags, &k.request, &k.worker); err != nil {
					return err
				}
				k.at, k.started = k.at.UTC(), started.Time
				found[id] = k
				return nil
			})
		if err != nil {
			return nil, err
		}
	}
	return found, nil
}

func (t *table) upsert(ctx context.Context, tx *session, s shape, rows []*row) error {
	if len(rows) == 0 {
		return nil
	}
	params := make([]any, 0, min(len(rows), statementRows[0])*len(columns))
	for len(rows) > 0 {
		n := fitting(rows)
		statement, err := tx.prepared(ctx, s, n)
		if err != nil {
			return err
		}
		params = params[:0]
		for _, r := range rows[:n] {
			params = s.values(r, params)
		}
		if _, err := statement.ExecContext(ctx, params...); err != nil {
			return err
		}
		rows = rows[n:]
	}
	return nil
}

// fitting is how many rows the next statement takes.
func fitting(rows []*row) int {
	most, size := 0, 0
	for most < len(rows) && (most == 0 || size < maxStatement) {
		size += rows[most].size()
		most++
	}
	return statementRows[slices.IndexFunc(statementRows, func(n int) bool { return n <= most })]
}

// tag makes the rows' tags findable.
func (t *table) tag(ctx context.Context, tx *session, rows []*row) error {
	type link struct {
		tag string
		row *row
	}
	var links []link
	for _, r := range rows {
		for _, tag := range strings.Fields(r.tags) {
			links = append(links, link{tag, r})
		}
	}
	slices.SortFunc(links, func(a, b link) int {
		return cmp.Or(strings.Compare(a.tag, b.tag), a.row.at.Compare(b.row.at), strings.Compare(a.row.id, b.row.id))
	})
	for part := range slices.Chunk(links, lookUpRows) {
		params := make([]any, 0, 3*len(part))
		for _, l := range part {
			params = append(params, l.tag, l.row.at, l.row.id)
		}
		statement := t.dialect.ignore + " INTO paidui_task_tags (tag, created_at, task_id) VALUES " + strings.Repeat("(?, ?, ?), ", len(part)-1) + "(?, ?, ?)"
		if _, err := tx.conn.ExecContext(ctx, statement, params...); err != nil {
			return err
		}
	}
	return nil
}

// querier is a pool or a connection.
type querier interface {
	QueryContext(ctx context.Context, statement string, params ...any) (*sql.Rows, error)
}

// query calls each with every row.
func query(ctx context.Context, q querier, statement string, params []any, each func(scan func(...any) error) error) error {
	rows, err := q.QueryContext(ctx, statement, params...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := each(rows.Scan); err != nil {
			return err
		}
	}
	return rows.Err()
}

// marks is n parameters' places.
func marks(n int) string { return strings.Repeat("?, ", n-1) + "?" }
