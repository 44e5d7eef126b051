package seckill

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/paidui/paidui/models/redisx"
	"github.com/paidui/paidui/tasks"
)

const (
	// recheckAfter is how long a reservation whose task is alive is left alone.
	recheckAfter = time.Minute
	// recheckLimit bounds the reservations of one goods that one run looks at; the others' turn comes in the next.
	recheckLimit = 5000
	// lateBatch is how many users' orders are locked at a time.
	lateBatch = 50
	// lookups is how many tasks are looked up at a time.
	lookups = 8
	// forgetAfter is how long Redis remembers who bought, after the sale has ended.
	forgetAfter = 24 * time.Hour
)

// reconciler repairs what a process that died, or a Redis that lost data, left behind.
type reconciler struct {
	ledger ledger
	store  store
	queue  queue
}

// run goes on with the other goods when one fails.
func (r *reconciler) run(ctx context.Context) (ReconcileResult, error) {
	var sum ReconcileResult
	goods, err := r.ledger.live(ctx)
	if err != nil {
		return sum, err
	}
	var errs []error
	for _, g := range goods {
		if ctx.Err() != nil {
			errs = append(errs, ctx.Err())
			break
		}
		sum.Goods++
		if err := r.goods(ctx, g, &sum); err != nil {
			errs = append(errs, err)
		}
	}
	return sum, errors.Join(errs...)
}

func (r *reconciler) goods(ctx context.Context, g liveGoods, sum *ReconcileResult) error {
	now, err := r.ledger.rdb.Time(ctx).Result()
	if err != nil {
		return fmt.Errorf("ask Redis for the time: %w", err)
	}
	if err := r.reservations(ctx, g.id, now, sum); err != nil {
		return err
	}
	return r.sale(ctx, g, now, sum)
}

// reservations looks at those that are due.
func (r *reconciler) reservations(ctx context.Context, goodsID int64, now time.Time, sum *ReconcileResult) error {
	var cursor uint64
	for looked := 0; looked < recheckLimit; {
		due, next, err := r.ledger.duePage(ctx, goodsID, cursor, now)
		if err != nil {
			return err
		}
		// A small hash comes as a whole, whatever count was asked for.
		for page := range slices.Chunk(due, pageSize) {
			if err := r.page(ctx, goodsID, page, now, sum); err != nil {
				return err
			}
		}
		looked += len(due)
		if cursor = next; cursor == 0 {
			return nil
		}
	}
	return nil
}

func (r *reconciler) page(ctx context.Context, goodsID int64, due []reservation, now time.Time, sum *ReconcileResult) error {
	states, err := r.states(ctx, due)
	if err != nil {
		return err
	}
	var alive, rest []reservation
	for _, d := range due {
		if state := states[d.taskID]; state == "" || state.Final() {
			rest = append(rest, d)
		} else {
			alive = append(alive, d)
		}
	}
	// The orders are read after the states, so that whatever a task did before its end is seen.
	bought, err := r.store.buyersAmong(ctx, goodsID, rest)
	if err != nil {
		return err
	}
	var without []reservation
	for _, d := range rest {
		if _, ok := bought[d.userID]; !ok && states[d.taskID].Final() {
			without = append(without, d)
		}
	}
	late, err := r.late(ctx, goodsID, without)
	if err != nil {
		return err
	}
	maps.Copy(bought, late)
	for _, d := range rest {
		orderTask, ok := bought[d.userID]
		state := states[d.taskID]
		switch {
		case ok:
			if err := r.ledger.settle(ctx, goodsID, reservation{userID: d.userID, taskID: orderTask}); err != nil {
				return err
			}
			sum.Settled++
		case state.Final():
			given, err := r.ledger.giveBack(ctx, goodsID, state == tasks.StateSuccess, d)
			if err != nil {
				return err
			}
			sum.Returned += given
		default:
			if err := r.queue.enqueue(ctx, d.taskID, OrderArgs{UserID: d.userID, GoodsID: goodsID}); err != nil {
				return err
			}
			sum.Requeued++
			alive = append(alive, d)
		}
	}
	return r.ledger.postpone(ctx, goodsID, alive, now.Add(recheckAfter))
}

// late are the orders of those whose tasks have ended without one that can be seen, as buyersAmong gives them.
func (r *reconciler) late(ctx context.Context, goodsID int64, rs []reservation) (map[int64]string, error) {
	late := make(map[int64]string)
	for some := range slices.Chunk(rs, lateBatch) {
		found, err := r.store.buyersAmongLocking(ctx, goodsID, some)
		if err != nil {
			return nil, err
		}
		maps.Copy(late, found)
	}
	return late, nil
}

// states maps the task of each reservation to its state, "" when the broker does not know it.
func (r *reconciler) states(ctx context.Context, rs []reservation) (map[string]tasks.State, error) {
	found := make([]tasks.State, len(rs))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(lookups)
	for i, d := range rs {
		group.Go(func() error {
			info, err := r.queue.info(ctx, d.taskID)
			if errors.Is(err, tasks.ErrNotFound) {
				return nil
			}
			if err != nil {
				return err
			}
			found[i] = info.State
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	states := make(map[string]tasks.State, len(rs))
	for i, d := range rs {
		states[d.taskID] = found[i]
	}
	return states, nil
}

// sale compares what Redis holds of the sale with the database, as its loader, so that a change by the operator
// meanwhile wins. If another is loading it, there is nothing to compare.
func (r *reconciler) sale(ctx context.Context, g liveGoods, now time.Time, sum *ReconcileResult) (err error) {
	token := redisx.NewLeaseToken()
	whose, err := r.ledger.acquire(ctx, g.id, token, true)
	if err != nil || whose != loadMine {
		return err
	}
	defer func() {
		ctx, cancel := cleanupContext(ctx)
		defer cancel()
		err = errors.Join(err, r.ledger.release(ctx, g.id, token))
	}()
	// Redis is counted first: every order that it knows of is then in what the database says.
	n, err := r.ledger.count(ctx, g.id)
	if err != nil {
		return err
	}
	read, err := r.store.sale(ctx, g.id)
	if err != nil {
		return err
	}
	switch {
	case !read.found, now.Sub(read.EndsAt) > forgetAfter:
		if forgotten, err := r.ledger.forget(ctx, g, token); err != nil || forgotten {
			return err
		}
		return r.ledger.drop(ctx, g.id) // it must not take anybody in while its last reservations end
	case n.loaded && read.Sold > n.admitted:
		sum.Dropped++
		err = r.ledger.drop(ctx, g.id)
	case n.loaded:
		_, err = r.ledger.fill(ctx, g.id, token, read)
	}
	if err != nil || n.admitted-n.pending <= read.Sold {
		return err
	}
	return r.prune(ctx, g.id, sum)
}

// prune removes those who count as buyers but have no order: it was deleted, or the database lost it.
func (r *reconciler) prune(ctx context.Context, goodsID int64, sum *ReconcileResult) error {
	var cursor uint64
	for {
		in, next, err := r.ledger.admittedPage(ctx, goodsID, cursor)
		if err != nil {
			return err
		}
		for page := range slices.Chunk(in, pageSize) {
			if err := r.prunePage(ctx, goodsID, page, sum); err != nil {
				return err
			}
		}
		if cursor = next; cursor == 0 {
			return nil
		}
	}
}

func (r *reconciler) prunePage(ctx context.Context, goodsID int64, page []reservation, sum *ReconcileResult) error {
	// A reservation is settled after its order was committed; so whoever has none now and no order afterwards has
	// none at all.
	settled, err := r.ledger.unreserved(ctx, goodsID, page)
	if err != nil {
		return err
	}
	bought, err := r.store.buyersAmong(ctx, goodsID, settled)
	if err != nil {
		return err
	}
	for _, s := range settled {
		if _, ok := bought[s.userID]; ok {
			continue
		}
		pruned, err := r.ledger.prune(ctx, goodsID, s)
		if err != nil {
			return err
		}
		if pruned {
			sum.Pruned++
		}
	}
	return nil
}
