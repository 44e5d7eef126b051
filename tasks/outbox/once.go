package outbox

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/paidui/paidui/models"
	"github.com/paidui/paidui/tasks"
)

// Once makes the database effects of a task happen once, however often the task runs. The handler calls it within the
// transaction that has the effects, and leaves them out unless first is true:
//
//	err := db.Transaction(func(tx *gorm.DB) error {
//		first, err := outbox.Once(ctx, tx)
//		if err != nil || !first {
//			return err
//		}
//		return tx.Create(&row).Error
//	})
//
// The mark that it leaves commits or rolls back with the effects; another attempt waits for it and then finds it, or, as
// any transaction may, ends in a deadlock and is tried again. tx must be a transaction. Once returns tasks.ErrNoTask outside a
// handler, and tasks.ErrFenced when the attempt may not write any more; roll back then. When Redis cannot be asked whether it
// may, that is an error, too. The mark goes by the task's id: two tasks of one id in different queues share it.
func Once(ctx context.Context, tx *gorm.DB) (first bool, err error) {
	t := tasks.Current(ctx)
	if t == nil {
		return false, tasks.ErrNoTask
	}
	if !inTransaction(tx) {
		return false, errors.New("outbox.Once wants a transaction, as db.Transaction gives it: outside one its mark would not roll back with the effects")
	}
	if err := t.MayWrite(ctx); err != nil {
		return false, fmt.Errorf("effects of task %s: %w", t.ID, err)
	}
	made := tx.WithContext(ctx).Clauses(unlessMarked(tx)).Create(&models.TaskEffect{TaskID: t.ID})
	if made.Error != nil {
		return false, fmt.Errorf("mark the effects of task %s: %w", t.ID, made.Error)
	}
	return made.RowsAffected == 1, nil
}

// unlessMarked makes an insert affect one row only if the key is free. MySQL counts 2 for a duplicate whose row changes,
// and so tells it apart also on a connection that counts rows found instead of rows changed. INSERT IGNORE would do, if
// it did not cut an id that is too long.
func unlessMarked(tx *gorm.DB) clause.Expression {
	if tx.Name() != "mysql" {
		return clause.OnConflict{DoNothing: true}
	}
	return clause.OnConflict{DoUpdates: clause.Assignments(map[string]any{
		"created_at": gorm.Expr("created_at + INTERVAL 1 MICROSECOND"),
	})}
}

func inTransaction(tx *gorm.DB) bool {
	if tx == nil || tx.Statement == nil {
		return false
	}
	_, ok := tx.Statement.ConnPool.(gorm.TxCommitter)
	return ok
}

// Once is the function Once for a transaction of database/sql, of the outbox's database.
func (o *Outbox) Once(ctx context.Context, tx *sql.Tx) (first bool, err error) {
	return Once(ctx, o.on(tx))
}
