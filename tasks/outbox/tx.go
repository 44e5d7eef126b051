package outbox

import (
	"context"
	"database/sql"

	"gorm.io/gorm"

	"github.com/paidui/paidui/tasks"
)

// plugin is the name under which a *gorm.DB knows its outbox.
const plugin = "paidui:outbox"

// Tx is a GORM transaction as EnqueueTx takes it, of a database that uses an outbox. A *gorm.DB that is no transaction
// enqueues at once.
func Tx(tx *gorm.DB) tasks.Tx {
	ob, _ := tx.Config.Plugins[plugin].(*Outbox)
	return transaction{ob, tx}
}

// Tx is a transaction of the outbox's database as EnqueueTx takes it. A *sql.Tx cannot tell of its commit: its tasks are
// found a second later at most, or at once when Committed is called.
func (o *Outbox) Tx(tx *sql.Tx) tasks.Tx { return transaction{o, o.on(tx)} }

// Committed has the outbox look at once for what a *sql.Tx has committed.
func (o *Outbox) Committed() { o.wakeRelay() }

// on is GORM on a transaction of database/sql.
func (o *Outbox) on(tx *sql.Tx) *gorm.DB {
	db := o.db.Session(&gorm.Session{NewDB: true, Context: context.Background()}) // with a context it is a statement of its own
	db.Statement.ConnPool = tx
	return db
}

// transaction implements tasks.Tx.
type transaction struct {
	outbox *Outbox // nil: the database has none
	db     *gorm.DB
}

func (t transaction) Outbox() tasks.Outbox {
	if t.outbox == nil {
		return nil
	}
	return t.outbox
}

func (t transaction) Put(ctx context.Context, messages ...*tasks.OutboxMessage) error {
	return t.outbox.put(ctx, t.db, messages)
}
