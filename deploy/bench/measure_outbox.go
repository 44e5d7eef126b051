package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"gorm.io/gorm"

	"github.com/paidui/paidui/models"
	"github.com/paidui/paidui/tasks/outbox"
)

// measureOutbox measures how fast a relay sends rows that wait, and how long an idle one takes from a transaction's
// commit to the start of the handler. The database syncs to disk at each commit.
func measureOutbox(ctx context.Context, l *lab) ([]measurement, error) {
	var rates, p50, p99 []float64
	for range l.rounds() {
		rate, took, err := l.relayOnce(ctx, l.pick(50_000, 5_000), l.pick(300, 100))
		if err != nil {
			return nil, err
		}
		rates, p50, p99 = append(rates, rate), append(p50, median(took)), append(p99, percentile(took, 0.99))
	}
	return []measurement{{value: median(rates)}, {value: median(p50)}, {value: median(p99)}}, nil
}

// relayOnce returns rows sent in a second, and times of pickup in milliseconds.
func (l *lab) relayOnce(ctx context.Context, rows, pickups int) (rate float64, took []float64, err error) {
	if err := l.flush(ctx); err != nil {
		return 0, nil, err
	}
	db, err := l.openShop(ctx)
	if err != nil {
		return 0, nil, err
	}
	defer closeShop(db)
	p, err := newPaidui(ctx, l.redisURL(brokerDB), l.logLevel, withoutResult)
	if err != nil {
		return 0, nil, err
	}
	defer func() { err = errors.Join(err, p.close()) }()
	ob, err := outbox.New(db, p.client, outbox.Options{Logger: p.logger})
	if err != nil {
		return 0, nil, err
	}
	if err := errors.Join(db.Exec("TRUNCATE TABLE paidui_outbox").Error, db.Use(ob)); err != nil {
		return 0, nil, err
	}
	// Rows that are left would be sent again, as those of tasks that Redis has lost, when other rows run an api.
	defer func() { err = errors.Join(err, db.Exec("TRUNCATE TABLE paidui_outbox").Error) }()
	if err := commitRows(ctx, db, rows); err != nil {
		return 0, nil, err
	}
	running, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	begun := time.Now()
	go func() { ended <- ob.Run(running) }()
	defer func() {
		stop()
		err = errors.Join(err, <-ended)
	}()
	if err := awaitSent(ctx, db); err != nil {
		return 0, nil, err
	}
	rate = float64(rows) / time.Since(begun).Seconds()
	if err := l.flush(ctx); err != nil { // the worker has other tasks to run
		return 0, nil, err
	}
	if err := db.Exec("TRUNCATE TABLE paidui_outbox").Error; err != nil {
		return 0, nil, err
	}
	took, err = commitPickups(ctx, db, p, pickups)
	return rate, took, err
}

// commitRows has rows wait, some hundreds to a transaction.
func commitRows(ctx context.Context, db *gorm.DB, rows int) error {
	const each = 500
	for first := 0; first < rows; first += each {
		err := db.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
			for n := first; n < min(first+each, rows); n++ {
				if _, err := noop.EnqueueTx(ctx, outbox.Tx(tx), args{n}); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("fill the outbox: %w", err)
		}
	}
	return nil
}

// awaitSent returns when no row waits.
func awaitSent(ctx context.Context, db *gorm.DB) error {
	for {
		var waiting []int64
		err := db.WithContext(ctx).Model(&models.OutboxRow{}).Where("sent_at IS NULL AND failed_at IS NULL").
			Limit(1).Pluck("id", &waiting).Error
		if err != nil || len(waiting) == 0 {
			return err
		}
		if err := pause(ctx, 2*time.Millisecond); err != nil {
			return err
		}
	}
}

// commitPickups commits one task at a time, each some milliseconds after the last one ran.
func commitPickups(ctx context.Context, db *gorm.DB, p *paidui, n int) (took []float64, err error) {
	begun := make(chan time.Time, 1)
	stop, err := p.serve(func(int) { begun <- time.Now() })
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, stop()) }()
	const warmUp = 3 // connections are made with the first
	for i := range n + warmUp {
		if err := pause(ctx, time.Duration(5+rand.IntN(20))*time.Millisecond); err != nil {
			return nil, err
		}
		tx := db.WithContext(ctx).Begin()
		if _, err := noop.EnqueueTx(ctx, outbox.Tx(tx), args{i}); err != nil {
			return nil, errors.Join(err, tx.Rollback().Error)
		}
		committing := time.Now()
		if err := tx.Commit().Error; err != nil {
			return nil, err
		}
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case at := <-begun:
			if i >= warmUp {
				took = append(took, float64(at.Sub(committing).Microseconds())/1000)
			}
		}
	}
	return took, nil
}
