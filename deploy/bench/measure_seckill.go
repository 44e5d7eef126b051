package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/google/uuid"
	"gorm.io/gorm"

	"github.com/paidui/paidui/models/shop"
)

// measureSeckill sells pieces by the real worker, and by one that gives every order a transaction of its own.
func measureSeckill(ctx context.Context, l *lab) (measurement, error) {
	db, err := l.openShop(ctx)
	if err != nil {
		return measurement{}, err
	}
	defer closeShop(db)
	if err := l.flush(ctx); err != nil {
		return measurement{}, err
	}
	api, err := l.startAPI(ctx)
	if err != nil {
		return measurement{}, err
	}
	jointly := func(ctx context.Context) (float64, error) {
		worker, err := l.startWorker(ctx, "-Q", "seckill", "-c", strconv.Itoa(seckillSlots))
		if err != nil {
			return 0, err
		}
		defer worker.stop()
		return l.sell(ctx, db, api, l.pick(100_000, 10_000))
	}
	singly := func(ctx context.Context) (float64, error) {
		worker, err := l.startSingle()
		if err != nil {
			return 0, err
		}
		defer worker.stop()
		return l.sell(ctx, db, api, l.pick(20_000, 2_000))
	}
	return alternate(ctx, l.rounds(), jointly, singly)
}

// seckillSlots is how many orders a worker of the sale has in hand.
const seckillSlots = 512

// sell is one sale to a tenth more users than there are pieces, from the first POST to the last committed order. It
// returns orders a second.
func (l *lab) sell(ctx context.Context, db *gorm.DB, api *child, pieces int) (float64, error) {
	users, err := l.writeTokens("users", 1, pieces+pieces/10)
	if err != nil {
		return 0, err
	}
	goodsID, err := putOnSale(ctx, db, pieces)
	if err != nil {
		return 0, err
	}
	posting, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan error, 1)
	go func() {
		_, err := l.post(posting, load{
			url: api.url + "/v1/seckill", body: fmt.Sprintf(`{"goods_id":%d}`, goodsID),
			tokens: users, once: true, limit: runPatience,
		})
		ended <- err
	}()
	last, err := awaitSoldOut(ctx, db, goodsID)
	stop()
	if err := errors.Join(err, <-ended); err != nil {
		return 0, err
	}
	first, err := checkOrders(ctx, db, goodsID, pieces)
	if err != nil {
		return 0, err
	}
	return float64(pieces) / last.Sub(first).Seconds(), nil
}

// awaitSoldOut waits until the last order has committed.
func awaitSoldOut(ctx context.Context, db *gorm.DB, goodsID int64) (time.Time, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, runPatience, fmt.Errorf("goods %d are not sold out after %v", goodsID, runPatience))
	defer cancel()
	for {
		var stock int64
		if err := db.WithContext(ctx).Model(&shop.Goods{}).Where("id = ?", goodsID).Pluck("stock", &stock).Error; err != nil {
			return time.Time{}, causeOf(ctx, err)
		}
		if stock == 0 {
			return time.Now(), nil
		}
		if err := pause(ctx, 5*time.Millisecond); err != nil {
			return time.Time{}, err
		}
	}
}

// checkOrders checks that every piece has one order and no user two, and says when the first was posted: the ids of
// their tasks tell.
func checkOrders(ctx context.Context, db *gorm.DB, goodsID int64, pieces int) (first time.Time, err error) {
	var found struct {
		Orders, Users int
		First         string
	}
	err = db.WithContext(ctx).Model(&shop.Order{}).
		Select("COUNT(*) AS orders, COUNT(DISTINCT user_id) AS users, MIN(task_id) AS first").
		Where("goods_id = ?", goodsID).Scan(&found).Error
	if err != nil {
		return first, err
	}
	if found.Orders != pieces || found.Users != pieces {
		return first, fmt.Errorf("%d pieces went in %d orders to %d users", pieces, found.Orders, found.Users)
	}
	id, err := uuid.Parse(found.First[len(found.First)-36:])
	if err != nil {
		return first, fmt.Errorf("the task id %q does not end in a UUID: %w", found.First, err)
	}
	return time.Unix(id.Time().UnixTime()), nil
}
