package seckill

import (
	"context"
	"fmt"
	"time"

	"github.com/paidui/paidui/models/shop"
	"github.com/paidui/paidui/tasks"
)

const queueName = "seckill"

// Order takes one piece of the goods for the user. It can be run any number of times: a user gets one order. Only the
// database gives a final answer, so while that cannot be asked the task waits for it.
var Order = tasks.Define[OrderArgs, OrderResult]("seckill.order",
	tasks.Queue(queueName),
	tasks.MaxRetries(5),
	tasks.Backoff(200*time.Millisecond, 10*time.Second),
	tasks.Timeout(10*time.Second),
	tasks.SnoozeFor(tasks.StoreAway(), tasks.ErrorIs(context.DeadlineExceeded)),
	tasks.MaxCrashes(100), // of workers, which are no verdict either
	tasks.Retention(24*time.Hour),
	tasks.History(tasks.HistoryOff), // the table of orders is its record
)

// OrderArgs says who buys what.
type OrderArgs struct {
	UserID  int64 `json:"user_id"`
	GoodsID int64 `json:"goods_id"`
}

// Validate refuses ids that no row can have.
func (a OrderArgs) Validate() error {
	if a.UserID <= 0 {
		return &tasks.ArgsError{Field: "user_id", Msg: fmt.Sprintf("%d is not a user's id", a.UserID)}
	}
	if a.GoodsID <= 0 {
		return &tasks.ArgsError{Field: "goods_id", Msg: fmt.Sprintf("%d is not the id of goods", a.GoodsID)}
	}
	return nil
}

// OrderResult is the business's answer. When OK is true, the rest describes the order that the user has, TaskID being
// that of the task that made it; otherwise Reason says why there is none.
type OrderResult struct {
	OK        bool      `json:"ok"`
	Reason    string    `json:"reason,omitempty"`
	UserID    int64     `json:"user_id"`
	GoodsID   int64     `json:"goods_id"`
	OrderID   int64     `json:"order_id,omitempty"`
	OrderNo   string    `json:"order_no,omitempty"`
	TaskID    string    `json:"task_id,omitempty"`
	CreatedAt time.Time `json:"created_at,omitzero"`
}

func successResult(o *shop.Order) OrderResult {
	return OrderResult{
		OK: true, UserID: o.UserID, GoodsID: o.GoodsID,
		OrderID: o.ID, OrderNo: o.OrderNo, TaskID: o.TaskID, CreatedAt: o.CreatedAt,
	}
}

func (r OrderResult) order() *shop.Order {
	return &shop.Order{
		ID: r.OrderID, OrderNo: r.OrderNo, UserID: r.UserID, GoodsID: r.GoodsID, TaskID: r.TaskID, CreatedAt: r.CreatedAt,
	}
}

// Reconcile compares Redis with the broker and the database, for every goods with a live sale or reservation, and
// mends what differs. Run it about twice a minute; runs may overlap.
var Reconcile = tasks.Define[ReconcileArgs, ReconcileResult]("seckill.reconcile",
	tasks.Queue("default"),
	tasks.MaxRetries(0),
	tasks.SnoozeFor(tasks.StoreAway()),
	tasks.Timeout(time.Minute),
	tasks.ExpiresIn(time.Minute),
	tasks.Retention(time.Hour),
)

// ReconcileArgs has no fields.
type ReconcileArgs struct{}

// ReconcileResult counts what was mended.
type ReconcileResult struct {
	Goods    int `json:"goods"`    // looked at
	Requeued int `json:"requeued"` // reservations whose task had been lost
	Settled  int `json:"settled"`  // reservations whose order had been committed
	Returned int `json:"returned"` // reservations given back, as their task ended without an order
	Pruned   int `json:"pruned"`   // users taken for buyers, who have no order
	Dropped  int `json:"dropped"`  // sales to be loaded again, as buyers were missing in them
}
