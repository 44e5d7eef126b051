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

// Sales are the goods and their flash sales: users queue for an order here, and ask what became of it. They are safe for concurrent use, in any number of
// processes.
type Sales struct {
	ledger  ledger
	store   store
	queue   queue
	loader  loader
	names   *names
	memory  *memory
	lookups chan struct{} // a slot for each search for a ticket that the broker does not know
}

// NewSales makes it. rdb is the broker's Redis, which must not evict keys; db is where goods and orders are.
func NewSales(db *gorm.DB, rdb redis.UniversalClient, client *tasks.Client) *Sales {
	return newSales(db, newLedger(rdb), brokerQueue{client})
}

func newSales(db *gorm.DB, l ledger, q queue) *Sales {
	s := store{db}
	return &Sales{
		ledger: l, store: s, queue: q, loader: newLoader(l, s),
		names:   newNames(s.goodsByName),
		memory:  newMemory(l),
		lookups: make(chan struct{}, maxLookups),
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
func (s *Sales) Enter(ctx context.Context, userID, goodsID int64) (Ticket, error) {
	if userID <= 0 {
		return Ticket{}, fmt.Errorf("enter goods %d: %d is not a user's id", goodsID, userID)
	}
	if goodsID <= 0 {
		return Ticket{}, ErrUnknownGoods
	}
	if s.memory.refuses(ctx, userID, goodsID) {
		return Ticket{}, ErrSoldOut
	}
	a, err := s.admit(ctx, userID, goodsID)
	if err != nil {
		return Ticket{}, err
	}
	if a.result == admitAgain && a.pending {
		// The task may be lost, or whoever was let in on a Redis Cluster died before it was made. A repetition costs
		// little and has the same id.
		ctx, cancel := cleanupContext(ctx)
		defer cancel()
		if err := s.queue.enqueue(ctx, a.taskID, OrderArgs{UserID: userID, GoodsID: goodsID}); err != nil {
			return Ticket{}, err
		}
	}
	return Ticket{TaskID: a.taskID, Bought: a.result == admitAgain && !a.pending}, nil
}

func (s *Sales) admit(ctx context.Context, userID, goodsID int64) (admission, error) {
	taskID := tasks.NewID(queueName)
	a, err := s.ask(ctx, userID, goodsID, taskID)
	if err == nil && a.result == admitLoad {
		a, err = s.askLoaded(ctx, userID, goodsID, taskID)
	}
	if err != nil {
		return admission{}, err
	}
	switch a.result {
	case admitNew:
		s.memory.forget(goodsID)
		return a, nil
	case admitAgain:
		return a, nil
	case admitSoldOut:
		s.memory.refresh(ctx, goodsID)
		return admission{}, ErrSoldOut
	case admitNotStarted:
		return admission{}, &NotOpenError{Reason: ReasonNotStarted, StartsAt: a.startsAt, EndsAt: a.endsAt}
	case admitEnded:
		return admission{}, &NotOpenError{Reason: ReasonEnded, StartsAt: a.startsAt, EndsAt: a.endsAt}
	}
	return admission{}, ErrUnknownGoods
}

// askLoaded asks once the sale is loaded.
func (s *Sales) askLoaded(ctx context.Context, userID, goodsID int64, taskID string) (admission, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, enterLimit, ErrLoading)
	defer cancel()
	for {
		if err := s.loader.load(ctx, goodsID); err != nil {
			if ctx.Err() != nil {
				err = context.Cause(ctx)
			}
			return admission{}, fmt.Errorf("load goods %d: %w", goodsID, err)
		}
		if a, err := s.ask(ctx, userID, goodsID, taskID); err != nil || a.result != admitLoad {
			return a, err
		}
	}
}

// ask lets the user in and enqueues his task in one round trip, or brings back why not.
func (s *Sales) ask(ctx context.Context, userID, goodsID int64, taskID string) (admission, error) {
	args := OrderArgs{UserID: userID, GoodsID: goodsID}
	reply, err := s.queue.enqueueIf(ctx, s.ledger.gate(userID, goodsID, taskID), taskID, args)
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
func (s *Sales) Invalidate(ctx context.Context, goodsID int64) error {
	s.names.forget()
	defer s.memory.forget(goodsID)
	return s.ledger.drop(ctx, goodsID)
}

// GoodsByName is the id of the goods with the name, or ErrUnknownGoods. A change of names is known here at once after
// Invalidate, and in the other processes two seconds later.
func (s *Sales) GoodsByName(ctx context.Context, name string) (int64, error) {
	return s.names.id(ctx, name)
}
