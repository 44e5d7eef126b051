package seckill

import (
	"context"
	"fmt"
	"log/slog"
	"slices"

	"github.com/redis/go-redis/v9"
	"gorm.io/gorm"

	"github.com/paidui/paidui/tasks"
)

// Option is a choice in Bind.
type Option func(*worker)

// BatchSize is how many orders share a transaction at most, 256 when it is not given. With 1, or less, each has its
// own, as many at a time as there are handlers.
func BatchSize(n int) Option {
	return func(w *worker) { w.joint.join.Size = max(n, 1) }
}

// Bind gives the mux the handlers of Order and Reconcile. The arguments are those of NewSales. Handlers of Order that
// run at the same time share transactions, so the more slots a worker has for the queue, the faster it is.
func Bind(m *tasks.Mux, db *gorm.DB, rdb redis.UniversalClient, client *tasks.Client, opts ...Option) {
	l := newLedger(rdb)
	w := newWorker(l, store{db}, opts...)
	r := &reconciler{ledger: l, store: store{db}, queue: brokerQueue{client}}
	tasks.Handle(m, Order,
		func(ctx context.Context, args OrderArgs) (OrderResult, error) {
			return w.take(ctx, tasks.Current(ctx).ID, args)
		},
		tasks.FailureHook(func(ctx context.Context, args OrderArgs, _ error) error {
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
	joint  *batcher
}

func newWorker(l ledger, s store, opts ...Option) *worker {
	w := &worker{ledger: l, store: s}
	w.joint = newBatcher(defaultBatch, w.takeAll)
	for _, opt := range opts {
		opt(w)
	}
	return w
}

// take places the order, together with those of other handlers, and tells Redis what became of it. What the database
// says is final: when Redis cannot be told, reconcile tells it later.
func (w *worker) take(ctx context.Context, taskID string, args OrderArgs) (OrderResult, error) {
	p := &orderRequest{userID: args.UserID, goodsID: args.GoodsID, taskID: taskID}
	if err := w.joint.do(ctx, p); err != nil {
		return OrderResult{}, fmt.Errorf("place the order of task %s: %w", taskID, err)
	}
	if p.settleErr != nil {
		logger(ctx).WarnContext(ctx, "Redis does not know of the order's outcome yet", "error", p.settleErr)
	}
	return p.result()
}

func (p *orderRequest) result() (OrderResult, error) {
	switch {
	case p.err == nil:
		return successResult(p.order), nil
	case p.refused():
		return OrderResult{Reason: ReasonOf(p.err), UserID: p.userID, GoodsID: p.goodsID}, nil
	}
	return OrderResult{}, p.err
}

// takeAll is the joint work of several handlers.
func (w *worker) takeAll(ctx context.Context, batch []*orderRequest) {
	w.store.placeAll(ctx, batch)
	w.tell(ctx, batch)
}

// tell lets Redis know what became of the batch, with two scripts a goods at most.
func (w *worker) tell(ctx context.Context, batch []*orderRequest) {
	ctx, cancel := afterwards(ctx)
	defer cancel()
	decided := slices.DeleteFunc(slices.Clone(batch), func(p *orderRequest) bool { return p.err != nil && !p.refused() })
	for _, group := range byGoods(decided) {
		var ordered, refused []reservation
		for _, p := range group {
			if p.order != nil {
				ordered = append(ordered, reservation{userID: p.userID, taskID: p.order.TaskID})
			} else {
				refused = append(refused, reservation{userID: p.userID, taskID: p.taskID})
			}
		}
		goodsID := group[0].goodsID
		err := w.ledger.settle(ctx, goodsID, ordered...)
		_, giveErr := w.ledger.giveBack(ctx, goodsID, true, refused...)
		for _, p := range group {
			if p.order != nil {
				p.settleErr = err
			} else {
				p.settleErr = giveErr
			}
		}
	}
}

// abandon gives the reservation back, unless an attempt committed the order before it failed. The failure does not stand
// until the database has said which of the two is true. When Redis cannot be told, reconcile tells it later.
func (w *worker) abandon(ctx context.Context, taskID string, args OrderArgs) error {
	ctx, cancel := afterwards(ctx)
	defer cancel()
	r := reservation{userID: args.UserID, taskID: taskID}
	bought, err := w.store.boughtForSure(ctx, args.GoodsID, []reservation{r})
	if err != nil {
		return err
	}
	if order, ok := bought[args.UserID]; ok {
		err = w.ledger.settle(ctx, args.GoodsID, reservation{userID: args.UserID, taskID: order})
	} else {
		_, err = w.ledger.giveBack(ctx, args.GoodsID, false, r)
	}
	if err != nil {
		logger(ctx).WarnContext(ctx, "Redis does not know of the order's outcome yet", "error", err)
	}
	return nil
}

func logger(ctx context.Context) *slog.Logger {
	if t := tasks.Current(ctx); t != nil {
		return t.Logger()
	}
	return slog.Default()
}
