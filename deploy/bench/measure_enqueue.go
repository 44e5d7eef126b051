package main

import (
	"context"
	"time"
)

func measureEnqueue(ctx context.Context, l *lab) (measurement, error) {
	n := l.pick(200_000, 20_000)
	side := func(open opener) measureOnce {
		return func(ctx context.Context) (float64, error) {
			return withQueue(ctx, l, open, withoutResult, func(q queue) (float64, error) {
				begun := time.Now()
				err := fill(ctx, q, n)
				return float64(n) / time.Since(begun).Seconds(), err
			})
		}
	}
	return alternate(ctx, l.rounds(), side(openPaidui), side(openPlain))
}
