package main

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"
	"time"
)

func measureRun(ctx context.Context, l *lab) (measurement, error) {
	return compareRuns(ctx, l, withoutResult)
}

func measureRunResult(ctx context.Context, l *lab) (measurement, error) {
	return compareRuns(ctx, l, withResult)
}

func compareRuns(ctx context.Context, l *lab, kind taskKind) (measurement, error) {
	backlog := l.pick(200_000, 20_000)
	side := func(open opener) measureOnce {
		return func(ctx context.Context) (float64, error) {
			return withQueue(ctx, l, open, kind, func(q queue) (float64, error) {
				if err := fill(ctx, q, backlog); err != nil {
					return 0, err
				}
				runtime.GC()
				return runAll(ctx, q, backlog)
			})
		}
	}
	return alternate(ctx, l.rounds(), side(openPaidui), side(openPlain))
}

// withQueue measures on a queue that is empty at the beginning.
func withQueue(ctx context.Context, l *lab, open opener, kind taskKind, measure func(queue) (float64, error)) (got float64, err error) {
	if err := l.flush(ctx); err != nil {
		return 0, err
	}
	q, err := open(ctx, l, brokerDB, kind)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, q.close()) }()
	return measure(q)
}

// runAll runs the backlog of n tasks and returns how many ran in a second. That all ran, and each once, is checked.
func runAll(ctx context.Context, q queue, n int) (float64, error) {
	rate, ran, err := runSome(ctx, q, n)
	if err != nil {
		return 0, err
	}
	if ran != n {
		return 0, fmt.Errorf("%d runs of %d tasks", ran, n)
	}
	switch left, err := q.left(); {
	case err != nil:
		return 0, err
	case left > 0:
		return 0, fmt.Errorf("%d of %d tasks that ran are still in the queue", left, n)
	}
	return rate, nil
}

// runSome serves the queue until n tasks have run, and returns how many ran in a second up to then, and in all.
func runSome(ctx context.Context, q queue, n int) (rate float64, ran int, err error) {
	var count atomic.Int64
	enough := make(chan struct{})
	begun := time.Now()
	stop, err := q.serve(func(int) {
		if count.Add(1) == int64(n) {
			close(enough)
		}
	})
	if err != nil {
		return 0, 0, err
	}
	select {
	case <-ctx.Done():
		err = context.Cause(ctx)
	case <-time.After(runPatience):
		err = fmt.Errorf("%d of %d tasks ran within %v", count.Load(), n, runPatience)
	case <-enough:
	}
	rate = float64(n) / time.Since(begun).Seconds()
	err = errors.Join(err, stop())
	return rate, int(count.Load()), err
}

// runPatience is how long a backlog may take.
const runPatience = 5 * time.Minute
