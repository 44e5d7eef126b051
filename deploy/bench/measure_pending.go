package main

import (
	"context"
	"errors"
	"runtime"
	"time"
)

// measurePendingGrowth compares runs that leave many tasks waiting with runs that leave few.
func measurePendingGrowth(ctx context.Context, l *lab) (measurement, error) {
	if err := l.flush(ctx); err != nil {
		return measurement{}, err
	}
	run := l.pick(100_000, 20_000)
	// Each has a database of its own, so that what waits need not be put there for each round.
	beside := func(db, waiting int) measureOnce {
		return func(ctx context.Context) (_ float64, err error) {
			q, err := openPaidui(ctx, l, db, withoutResult)
			if err != nil {
				return 0, err
			}
			defer func() { err = errors.Join(err, q.close()) }()
			left, err := q.left()
			if err != nil {
				return 0, err
			}
			if err := fill(ctx, q, waiting+run-left); err != nil {
				return 0, err
			}
			runtime.GC()
			if err := pause(ctx, time.Second); err != nil { // Redis tidies up after it has grown
				return 0, err
			}
			rate, _, err := runSome(ctx, q, run)
			return rate, err
		}
	}
	return alternate(ctx, l.rounds(), beside(brokerDB, l.pick(1_000_000, 100_000)), beside(plainDB, 10_000))
}
