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
	return func(w *worker) { w.batcher.group.Size = max(n, 1) }
}

// Bind gives the mux the handlers of Order and Reconcile. The arguments are those of NewSales. Handlers of Order that
// run at the same time share transactions, so the more slots a worker has for the queue, the faster it is.
func Bind(m *tasks.Mux, db *gorm.DB, rdb redis.UniversalClient, client *tasks.Client, opts ...Option) {
	l := newLedger(rdb)
	w := newWorker(l, store{db}, opts...)
	r := &reconciler{ledger: l, store: store{db}, queue: brokerQueue{client}}
	tasks.Handle(m, Order,
		func(ctx context.Context, args OrderArgs) (OrderResult, error) {
			return w.placeOrder(ctx, tasks.Current(ctx).ID, args)
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
	ledger  ledger
	store   store
	batcher *batcher
}

func newWorker(l ledger, s store, opts ...Option) *worker {
	w := &worker{ledger: l, store: s}
	w.batcher = newBatcher(defaultBatch, w.placeBatch)
	for _, opt := range opts {
		opt(w)
	}
	return w
}

// placeOrder places the order, together with those of other handlers, and tells Redis what became of it. What the database
// says is final: when Redis cannot be told, reconcile tells it later.
func (w *worker) placeOrder(ctx context.Context, taskID string, args OrderArgs) (OrderResult, error) {
	r := &orderRequest{userID: args.UserID, goodsID: args.GoodsID, taskID: taskID}
	if err := w.batcher.do(ctx, r); err != nil {
		return OrderResult{}, fmt.Errorf("place the order of task %s: %w", taskID, err)
	}
	if r.settleErr != nil {
		logger(ctx).WarnContext(ctx, "Redis does not know of the order's outcome yet", "error", r.settleErr)
	}
	return r.result()
}

func (r *orderRequest) result() (OrderResult, error) {
	switch {
	case r.err == nil:
		return successResult(r.order), nil
	case r.refused():
		return OrderResult{Reason: ReasonOf(r.err), UserID: r.userID, GoodsID: r.goodsID}, nil
	}
	return OrderResult{}, r.err
}

// placeBatch is the work of several handlers together.
func (w *worker) placeBatch(ctx context.Context, batch []*orderRequest) {
	w.store.placeAll(ctx, batch)
	w.recordOutcomes(ctx, batch)
}

// recordOutcomes writes to Redis what became of the batch, with two scripts a goods at most.
func (w *worker) recordOutcomes(ctx context.Context, batch []*orderRequest) {
	ctx, cancel := cleanupContext(ctx)
	defer cancel()
	decided := slices.DeleteFunc(slices.Clone(batch), func(r *orderRequest) bool { return r.err != nil && !r.refused() })
	for _, group := range byGoods(decided) {
		var ordered, refused []reservation
		for _, r := range group {
			if r.order != nil {
				ordered = append(ordered, reservation{userID: r.userID, taskID: r.order.TaskID})
			} else {
				refused = append(refused, reservation{userID: r.userID, taskID: r.taskID})
			}
		}
		goodsID := group[0].goodsID
		err := w.ledger.settle(ctx, goodsID, ordered...)
		_, giveErr := w.ledger.giveBack(ctx, goodsID, true, refused...)
		for _, r := range group {
			if r.order != nil {
				r.settleErr = err
			} else {
				r.settleErr = giveErr
			}
		}
	}
}

// abandon gives the reservation back, unless an attempt committed the order before it failed. The failure does not stand
// until the database has said which of the two is true. When Redis cannot be told, reconcile tells it later.
func (w *worker) abandon(ctx context.Context, taskID string, args OrderArgs) error {
	ctx, cancel := cleanupContext(ctx)
	defer cancel()
	r := reservation{userID: args.UserID, taskID: taskID}
	bought, err := w.store.buyersAmongLocking(ctx, args.GoodsID, []reservation{r})
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
