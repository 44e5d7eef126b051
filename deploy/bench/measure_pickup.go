package main

import (
	"context"
	"math/rand/v2"
	"time"
)

// measurePickup enqueues one task at a time, each some milliseconds after the last one ran, so that the worker is idle.
func measurePickup(ctx context.Context, l *lab) ([]measurement, error) {
	var p50, p99, theirs []float64
	for range l.rounds() {
		ours, err := pickups(ctx, l, openPaidui, l.pick(500, 200))
		if err != nil {
			return nil, err
		}
		other, err := pickups(ctx, l, openPlain, l.pick(10, 3))
		if err != nil {
			return nil, err
		}
		p50, p99 = append(p50, median(ours)), append(p99, percentile(ours, 0.99))
		theirs = append(theirs, other...)
	}
	return []measurement{{median(p50), median(theirs)}, {value: median(p99)}}, nil
}

// pickups are times in milliseconds.
func pickups(ctx context.Context, l *lab, open opener, n int) ([]float64, error) {
	var took []float64
	_, err := withQueue(ctx, l, open, withoutResult, func(q queue) (float64, error) {
		begun := make(chan time.Time, 1)
		stop, err := q.serve(func(int) { begun <- time.Now() })
		if err != nil {
			return 0, err
		}
		defer stop()
		const warmUp = 1 // connections are made with the first
		for i := range n + warmUp {
			if err := pause(ctx, time.Duration(5+rand.IntN(20))*time.Millisecond); err != nil {
				return 0, err
			}
			called := time.Now()
			if err := q.enqueue(ctx, i, time.Time{}); err != nil {
				return 0, err
			}
			select {
			case <-ctx.Done():
				return 0, context.Cause(ctx)
			case at := <-begun:
				if i >= warmUp {
					took = append(took, float64(at.Sub(called).Microseconds())/1000)
				}
			}
		}
		return 0, nil
	})
	return took, err
}
