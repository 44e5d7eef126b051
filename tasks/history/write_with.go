package history

import (
	"context"
	"fmt"

	"github.com/paidui/paidui/models"
	"github.com/paidui/paidui/tasks"
)

// Exec runs a statement in a transaction, and tells how many rows it has changed.
type Exec func(statement string, params ...any) (rows int64, err error)

// WriteWith writes records as a Writer does it, in one transaction with what also does: both are there, or neither. Records that
// make no sense are left out, and so are those that the database does not take. also may be called again, after its transaction was
// rolled back; its error rolls back, and is returned as it is.
func (s *Store) WriteWith(ctx context.Context, records []tasks.Record, also func(Exec) error) error {
	rows := make([]*row, 0, len(records))
	for _, r := range records {
		if made, ok := newRow(r, s.now()); ok {
			rows = append(rows, &made)
		}
	}
	var refused error // of also
	write := func(rows []*row) error {
		ctx, cancel := context.WithTimeout(ctx, flushLimit)
		defer cancel()
		return s.table.transact(ctx, func(tx *session) error {
			if _, err := s.table.put(ctx, tx, rows); err != nil {
				return err
			}
			refused = also(func(statement string, params ...any) (int64, error) {
				result, err := tx.conn.ExecContext(ctx, statement, params...)
				if err != nil {
					return 0, err
				}
				return result.RowsAffected()
			})
			return refused
		})
	}
	err := write(rows)
	if models.IsRowFault(err) && refused == nil && len(rows) > 0 {
		if err = s.table.writeAccepted(ctx, rows, flushLimit); err == nil {
			err = write(nil)
		}
	}
	if err == nil || refused != nil {
		return refused
	}
	return fmt.Errorf("history: write records: %w", err)
}
