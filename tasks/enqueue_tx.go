package tasks

import (
	"context"
	"errors"
	"fmt"

	"gorm.io/gorm"
)

// EnqueueTx is Enqueue in the transaction of tx: the task is made if, and only if, the transaction commits, and it then
// survives even the loss of all that Redis holds. Whatever Redis does, EnqueueTx and the commit work on; while Redis is
// away, tasks wait in the database's table outbox. Without a transaction the task is made at once.
//
// The database must have an outbox (see package tasks/outbox), or ErrNoOutbox comes back; a wrong call gives an
// *OptionError or *ArgsError before the database is asked. Any other error is the database's, and the transaction is to
// be rolled back. With ErrDuplicate the outbox has a task of the chosen ID already, whose handle comes with it, and the
// transaction may go on.
//
// Whether a task is unique or throttled is judged when it gets to Redis: one that is not to run is then dropped, and is
// not found by its handle. Debounce is refused. The handle knows the task from the commit on. A task that has ended is
// known for 15 minutes at least, whatever its retention, unless it is Repeatable.
func (d *Definition[A, R]) EnqueueTx(ctx context.Context, tx *gorm.DB, args A, opts ...Option) (*Result[R], error) {
	payload, err := d.encodeArgs(args)
	if err != nil {
		return nil, err
	}
	ob, ok := tx.Config.Plugins[OutboxPlugin].(Outbox)
	if !ok {
		return nil, fmt.Errorf("enqueue %s: %w", d.name, ErrNoOutbox)
	}
	client := ob.Client()
	o := d.options(opts)
	o.durable = true
	m, err := client.message(ctx, d.name, payload, &o)
	if err != nil {
		return nil, err
	}
	p := newParcel(m)
	err = ob.Put(ctx, tx, p)
	if err != nil && !errors.Is(err, ErrDuplicate) {
		return nil, fmt.Errorf("enqueue %s: %w", d.name, err)
	}
	return d.Result(client, p.ID()), err
}
