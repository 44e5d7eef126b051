package seckill

import (
	"context"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
	"gorm.io/gorm"

	"github.com/paidui/paidui/tasks"
)

// enterLimit bounds how long Enter waits for a sale to be loaded. It leaves time to replace a loader that died.
const enterLimit = loadLease + 3*time.Second

// Desk is where users queue for an order and ask what became of it. It is safe for concurrent use, in any number of
// processes.
type Desk struct {
	ledger ledger
	store  store
	queue  queue
	loader loader
	names  *names
	memory *memory
	lookup chan struct{} // a slot for each search for a ticket that the broker does not know
}

// NewDesk makes a desk. rdb is the broker's Redis, which must not evict keys; db is where goods and orders are.
func NewDesk(db *gorm.DB, rdb redis.UniversalClient, client *tasks.Client) *Desk {
	return newDesk(db, newLedger(rdb), brokerQueue{client})
}

func newDesk(db *gorm.DB, l ledger, q queue) *Desk {
	s := store{db}
	return &Desk{
		ledger: l, store: s, queue: q, loader: newLoader(l, s),
		names:  newNames(s.goodsByName),
		memory: newMemory(l),
		lookup: make(chan struct{}, maxLookups),
	}
}

// Ticket is a user's place in the queue.
type Ticket struct {
	TaskID string // for Outcome
	Bought bool   // the user has an order already, made by this task
}

// Enter reserves a piece of the goods for the user and enqueues the order. A user who is in already gets the ticket
// he has, whatever became of the sale since. It returns ErrSoldOut, ErrUnknownGoods or a *NotOpenError when the
// business says no, and ErrLoading when the sale could not be loaded in time. After any other error the user may have a
// reservation all the same: it is completed by his next call or by Reconcile.
func (d *Desk) Enter(ctx context.Context, userID, goodsID int64) (Ticket, error) {
	if userID <= 0 {
		return Ticket{}, fmt.Errorf("enter goods %d: %d is not a user's id", goodsID, userID)
	}
	if goodsID <= 0 {
		return Ticket{}, ErrUnknownGoods
	}
	if d.memory.refuses(ctx, userID, goodsID) {
		return Ticket{}, ErrSoldOut
	}
	a, err := d.admit(ctx, userID, goodsID)
	if err != nil {
		return Ticket{}, err
	}
	if a.verdict == admitAgain && a.pending {
		// The task may be lost, or whoever was let in on a Redis Cluster died before it was made. A repetition costs
		// little and has the same id.
		ctx, cancel := afterwards(ctx)
		defer cancel()
		if err := d.queue.enqueue(ctx, a.taskID, OrderArgs{UserID: userID, GoodsID: goodsID}); err != nil {
			return Ticket{}, err
		}
	}
	return Ticket{TaskID: a.taskID, Bought: a.verdict == admitAgain && !a.pending}, nil
}

func (d *Desk) admit(ctx context.Context, userID, goodsID int64) (admission, error) {
	taskID := tasks.NewID(queueName)
	a, err := d.ask(ctx, userID, goodsID, taskID)
	if err == nil && a.verdict == admitLoad {
		a, err = d.askLoaded(ctx, userID, goodsID, taskID)
	}
	if err != nil {
		return admission{}, err
	}
	switch a.verdict {
	case admitNew:
		d.memory.forget(goodsID)
		return a, nil
	case admitAgain:
		return a, nil
	case admitSoldOut:
		d.memory.learn(ctx, goodsID)
		return admission{}, ErrSoldOut
	case admitNotStarted:
		return admission{}, &NotOpenError{Reason: ReasonNotStarted, StartsAt: a.startsAt, EndsAt: a.endsAt}
	case admitEnded:
		return admission{}, &NotOpenError{Reason: ReasonEnded, StartsAt: a.startsAt, EndsAt: a.endsAt}
	}
	return admission{}, ErrUnknownGoods
}

// askLoaded asks once the sale is loaded.
func (d *Desk) askLoaded(ctx context.Context, userID, goodsID int64, taskID string) (admission, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, enterLimit, ErrLoading)
	defer cancel()
	for {
		if err := d.loader.load(ctx, goodsID); err != nil {
			if ctx.Err() != nil {
				err = context.Cause(ctx)
			}
			return admission{}, fmt.Errorf("load goods %d: %w", goodsID, err)
		}
		if a, err := d.ask(ctx, userID, goodsID, taskID); err != nil || a.verdict != admitLoad {
			return a, err
		}
	}
}

// ask lets the user in and enqueues his task in one round trip, or brings back why not.
func (d *Desk) ask(ctx context.Context, userID, goodsID int64, taskID string) (admission, error) {
	args := OrderArgs{UserID: userID, GoodsID: goodsID}
	reply, err := d.queue.enqueueIf(ctx, d.ledger.gate(userID, goodsID, taskID), taskID, args)
	var a admission
	if err == nil {
		a, err = parseAdmission(reply)
	}
	if err != nil {
		return admission{}, fmt.Errorf("admit user %d to goods %d: %w", userID, goodsID, err)
	}
	return a, nil
}

// Invalidate makes the next Enter read the goods anew; in other processes, that they are sold out may be believed for
// another second. Call it after a write to the goods has committed, their creation included. If it fails, or is never
// reached, Reconcile makes the change known.
func (d *Desk) Invalidate(ctx context.Context, goodsID int64) error {
	d.names.forget()
	defer d.memory.forget(goodsID)
	return d.ledger.drop(ctx, goodsID)
}

// GoodsByName is the id of the goods with the name, or ErrUnknownGoods. A change of names is known here at once after
// Invalidate, and in the other processes two seconds later.
func (d *Desk) GoodsByName(ctx context.Context, name string) (int64, error) {
	return d.names.id(ctx, name)
}
