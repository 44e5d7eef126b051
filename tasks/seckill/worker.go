package seckill

import (
	"context"
	"errors"
	"log/slog"

	"github.com/redis/go-redis/v9"
	"gorm.io/gorm"

	"github.com/paidui/paidui/tasks"
)

// Bind gives the mux the handlers of Order and Reconcile. The arguments are those of NewDesk.
func Bind(m *tasks.Mux, db *gorm.DB, rdb redis.UniversalClient, client *tasks.Client) {
	l := newLedger(rdb)
	w := &worker{ledger: l, store: store{db}}
	r := &reconciler{ledger: l, store: store{db}, queue: brokerQueue{client}}
	tasks.Handle(m, Order,
		func(ctx context.Context, args OrderArgs) (OrderResult, error) {
			return w.take(ctx, tasks.Current(ctx).ID, args)
		},
		tasks.OnFailure(func(ctx context.Context, args OrderArgs, _ error) error {
			if args.Validate() != nil {
				return nil
			}
			return w.abandon(ctx, tasks.Current(ctx).ID, args)
		}),
	)
	tasks.Handle(m, Reconcile, func(ctx context.Context, _ ReconcileArgs) (ReconcileResult, error) {
		return r.run(ctx)
	})
}

// worker turns reservations into orders.
type worker struct {
	ledger ledger
	store  store
}

// take places the order and tells Redis what became of it. What the database says is final: when Redis cannot be told,
// reconcile tells it later.
func (w *worker) take(ctx context.Context, taskID string, args OrderArgs) (OrderResult, error) {
	order, err := w.store.place(ctx, args.UserID, args.GoodsID, taskID)
	refused := errors.Is(err, ErrSoldOut) || errors.Is(err, ErrUnknownGoods)
	if err != nil && !refused {
		return OrderResult{}, err
	}
	tell, cancel := afterwards(ctx)
	defer cancel()
	if refused {
		if _, tellErr := w.ledger.giveBack(tell, args.UserID, args.GoodsID, taskID, true); tellErr != nil {
			logger(ctx).WarnContext(ctx, "reservation not given back yet", "error", tellErr)
		}
		return OrderResult{Reason: ReasonOf(err), UserID: args.UserID, GoodsID: args.GoodsID}, nil
	}
	if err := w.ledger.settle(tell, args.UserID, args.GoodsID, order.TaskID); err != nil {
		logger(ctx).WarnContext(ctx, "reservation not settled yet", "error", err)
	}
	return successResult(order), nil
}

// abandon gives the reservation back, unless an attempt committed the order before it failed.
func (w *worker) abandon(ctx context.Context, taskID string, args OrderArgs) error {
	ctx, cancel := afterwards(ctx)
	defer cancel()
	order, err := w.store.orderOf(ctx, args.UserID, args.GoodsID)
	if err != nil {
		return err
	}
	if order != nil {
		return w.ledger.settle(ctx, args.UserID, args.GoodsID, order.TaskID)
	}
	_, err = w.ledger.giveBack(ctx, args.UserID, args.GoodsID, taskID, false)
	return err
}

func logger(ctx context.Context) *slog.Logger {
	if t := tasks.Current(ctx); t != nil {
		return t.Logger
	}
	return slog.Default()
}
