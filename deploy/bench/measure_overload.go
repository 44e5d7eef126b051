package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"gorm.io/gorm"

	"github.com/paidui/paidui/models/shop"
)

// measureOverload has far more clients than can be answered ask the real API, each again as soon as it was answered, and
// looks at how long the accepted requests took and at the API's memory. What is refused must say so as agreed, and what was
// accepted must be done afterwards.
func measureOverload(ctx context.Context, l *lab) ([]measurement, error) {
	if err := l.flush(ctx); err != nil {
		return nil, err
	}
	db, err := l.openShop(ctx)
	if err != nil {
		return nil, err
	}
	defer closeShop(db)
	api, err := l.startAPI(ctx, "PAIDUI_MAX_CONNECTIONS_PER_ADDRESS=1000000", "PAIDUI_SMS_PER_ADDRESS=1000000",
		"PAIDUI_SMS_PER_MINUTE_ALL=0", "PAIDUI_REQUESTS_PER_ADDRESS=0") // all are of this machine
	if err != nil {
		return nil, err
	}
	if _, err := l.startWorker(ctx, "-c", strconv.Itoa(seckillSlots)); err != nil {
		return nil, err
	}
	sms, err := l.overloadSMS(ctx, db, api)
	if err != nil {
		return nil, fmt.Errorf("POST /v1/sms: %w", err)
	}
	orders, err := l.overloadSeckill(ctx, db, api)
	if err != nil {
		return nil, fmt.Errorf("POST /v1/seckill: %w", err)
	}
	peak, err := api.memory("VmHWM")
	return []measurement{
		{value: percentile(sms.took, 0.99)}, {value: sms.rate()}, {value: 100 * sms.refusedShare()},
		{value: percentile(orders.took, 0.99)}, {value: orders.rate()}, {value: 100 * orders.refusedShare()},
		{value: peak},
	}, err
}

const (
	// overloadPatience is how long what was accepted may take to be done when the load is over.
	overloadPatience = 5 * time.Minute
	// usersPerSecond is more than can be answered, accepted or not.
	usersPerSecond = 60_000
)

func (l *lab) overload() overload {
	return overload{clients: l.pick(5_000, 1_000), limit: time.Duration(l.pick(10, 3)) * time.Second}
}

// overloadSMS asks for a code for another number each time.
func (l *lab) overloadSMS(ctx context.Context, db *gorm.DB, api *child) (*offered, error) {
	o := l.overload()
	o.request = func(n int) (token, body string) { return "", fmt.Sprintf(`{"mobile":"13%09d"}`, n) }
	got, err := o.run(ctx, api, "/v1/sms")
	if err != nil {
		return nil, err
	}
	return got, awaitRows(ctx, db.Model(&shop.SMSMessage{}), len(got.took))
}

// overloadSeckill asks for a piece as another user each time; there are enough.
func (l *lab) overloadSeckill(ctx context.Context, db *gorm.DB, api *child) (*offered, error) {
	o := l.overload()
	users := usersPerSecond * int(o.limit.Seconds())
	tokens := make([]string, users)
	if err := inParallel(users, func(i int) (err error) {
		tokens[i], err = token(int64(i + 1))
		return err
	}); err != nil {
		return nil, err
	}
	goodsID, err := putOnSale(ctx, db, users)
	if err != nil {
		return nil, err
	}
	body := fmt.Sprintf(`{"goods_id":%d}`, goodsID)
	o.request = func(n int) (token, _ string) {
		if n >= users {
			return "", ""
		}
		return tokens[n], body
	}
	got, err := o.run(ctx, api, "/v1/seckill")
	if err != nil {
		return nil, err
	}
	return got, awaitRows(ctx, db.Model(&shop.Order{}).Where("goods_id = ?", goodsID), len(got.took))
}

// awaitRows waits until there are n rows; more are an error.
func awaitRows(ctx context.Context, rows *gorm.DB, n int) error {
	ctx, cancel := context.WithTimeoutCause(ctx, overloadPatience, errors.New("not all that was accepted was done"))
	defer cancel()
	for {
		var there int64
		if err := rows.WithContext(ctx).Count(&there).Error; err != nil {
			return causeOf(ctx, err)
		}
		if there > int64(n) {
			return fmt.Errorf("%d were accepted, and %d done", n, there)
		}
		if there == int64(n) {
			return nil
		}
		if err := pause(ctx, 100*time.Millisecond); err != nil {
			return fmt.Errorf("%d of %d: %w", there, n, err)
		}
	}
}
