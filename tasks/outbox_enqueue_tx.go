package tasks

import (
	"context"
	"errors"
	"fmt"
)

// ErrNoOutbox says that EnqueueTx was given a database that has no outbox.
var ErrNoOutbox = errors.New("the database has no outbox: make one with outbox.New, and have the database use it with db.Use")

// Tx is a transaction of a database that has an outbox: outbox.Tx makes it of a *gorm.DB, and Outbox.Tx of a *sql.Tx.
type Tx interface {
	// Outbox is the database's; nil without one.
	Outbox() Outbox
	// Put stores messages in the transaction, all or none. With ErrDuplicate the outbox has a task of the same id already.
	Put(ctx context.Context, messages ...*OutboxMessage) error
}

// EnqueueTx is Enqueue in the transaction of tx: the task is made if, and only if, the transaction commits, and it then
// survives even the loss of all that Redis holds. Whatever Redis does, EnqueueTx and the commit work on; while Redis is
// away, tasks wait in the database's table paidui_outbox. Without a transaction the task is made at once.
//
// The database must have an outbox (see package tasks/outbox), or ErrNoOutbox comes back; a wrong call gives an
// *OptionError or *ArgsError before the database is asked. Any other error is the database's, and the transaction is to
// be rolled back. With ErrDuplicate the outbox has a task of the chosen ID already, whose handle comes with it, and the
// transaction may go on.
//
// Whether a task is unique or throttled is judged when it gets to Redis: one that is not to run is then dropped, and is
// not found by its handle. Debounce is refused. The handle knows the task from the commit on. A task that has ended is
// known for 15 minutes at least, whatever its retention, unless it is Repeatable.
func (d *Definition[A, R]) EnqueueTx(ctx context.Context, tx Tx, args A, opts ...Option) (*Result[R], error) {
	id, client, err := d.Signature(args, opts...).enqueueTx(ctx, tx)
	if err != nil && !errors.Is(err, ErrDuplicate) {
		return nil, err
	}
	return d.Result(client, id), err
}

// EnqueueTx is Enqueue in the transaction of tx, as Definition.EnqueueTx is. With ErrDuplicate the id is that of the task
// which the outbox has already.
func (s Signature) EnqueueTx(ctx context.Context, tx Tx) (id string, err error) {
	id, _, err = s.enqueueTx(ctx, tx)
	return id, err
}

func (s Signature) enqueueTx(ctx context.Context, tx Tx) (id string, client *Client, err error) {
	if err := s.check(); err != nil {
		return "", nil, err
	}
	ob := tx.Outbox()
	if ob == nil {
		return "", nil, fmt.Errorf("enqueue %s: %w", s.name, ErrNoOutbox)
	}
	client = ob.Client()
	o := s.options
	o.durable = true
	m, err := client.message(ctx, s.name, s.payload, &o)
	if err != nil {
		return "", nil, err
	}
	p := newOutboxMessage(m)
	err = tx.Put(ctx, p)
	if err != nil && !errors.Is(err, ErrDuplicate) {
		return "", nil, fmt.Errorf("enqueue %s: %w", s.name, err)
	}
	return p.ID(), client, err
}
