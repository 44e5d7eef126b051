package main

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"gorm.io/gorm"

	"github.com/paidui/paidui/models"
	"github.com/paidui/paidui/tasks"
)

// measureSeckill sells all pieces to a tenth more users than there are pieces.
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
	if _, err := l.startWorker(ctx, "-Q", "seckill", "-c", "512"); err != nil {
		return measurement{}, err
	}
	pieces := l.pick(100_000, 10_000)
	users, err := l.writeTokens("users", 1, pieces+pieces/10)
	if err != nil {
		return measurement{}, err
	}
	sale := func(ctx context.Context) (float64, error) { return l.sell(ctx, db, api, pieces, users) }
	singly := func(ctx context.Context) (float64, error) { return orderSingly(ctx, db, l.pick(20_000, 4_000)) }
	return alternate(ctx, l.rounds(), sale, singly)
}

// sell is one sale, from the first POST to the last committed order. It returns orders a second.
func (l *lab) sell(ctx context.Context, db *gorm.DB, api *child, pieces int, users string) (float64, error) {
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
		if err := db.WithContext(ctx).Model(&models.Goods{}).Where("id = ?", goodsID).Pluck("stock", &stock).Error; err != nil {
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
	err = db.WithContext(ctx).Model(&models.Order{}).
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

// orderSingly makes orders in transactions of their own, 64 at a time, and returns how many a second.
func orderSingly(ctx context.Context, db *gorm.DB, pieces int) (float64, error) {
	goodsID, err := putOnSale(ctx, db, pieces)
	if err != nil {
		return 0, err
	}
	pool, err := db.DB()
	if err != nil {
		return 0, err
	}
	pool.SetMaxOpenConns(slots)
	pool.SetMaxIdleConns(slots)
	var next atomic.Int64
	begun := time.Now()
	if err := together(slots, func() error {
		for {
			user := next.Add(1)
			if user > int64(pieces) {
				return nil
			}
			if err := orderOne(ctx, db, goodsID, user); err != nil {
				return err
			}
		}
	}); err != nil {
		return 0, err
	}
	took := time.Since(begun)
	_, err = checkOrders(ctx, db, goodsID, pieces)
	return float64(pieces) / took.Seconds(), err
}

func orderOne(ctx context.Context, db *gorm.DB, goodsID, userID int64) error {
	now := time.Now().UTC()
	id := tasks.NewID("seckill")
	order := models.Order{OrderNo: id[len(id)-32:], UserID: userID, GoodsID: goodsID, TaskID: id, CreatedAt: now}
	return db.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		if err := tx.Create(&order).Error; err != nil {
			return err
		}
		return tx.Model(&models.Goods{}).Where("id = ? AND stock > 0", goodsID).
			UpdateColumns(map[string]any{"stock": gorm.Expr("stock - 1"), "updated_at": now}).Error
	})
}
