package main

import (
	"context"
	"errors"
	"fmt"
	"time"
)

func measureProcesses(ctx context.Context, l *lab) (measurement, error) {
	backlog := l.pick(200_000, 20_000)
	by := func(workers int) measureOnce {
		return func(ctx context.Context) (float64, error) {
			return withQueue(ctx, l, openPaidui, withoutResult, func(q queue) (float64, error) {
				if err := fill(ctx, q, backlog); err != nil {
					return 0, err
				}
				defer l.endRow()
				rate, err := l.runInProcesses(ctx, workers, backlog)
				if err != nil {
					return 0, err
				}
				l.endRow()
				left, err := q.left()
				if err == nil && left > 0 {
					err = fmt.Errorf("%d of %d tasks that ran are still in the queue", left, backlog)
				}
				return rate, err
			})
		}
	}
	return alternate(ctx, l.rounds(), by(4), by(1))
}

// runInProcesses runs a backlog of n tasks by so many worker processes and returns how many ran in a second.
func (l *lab) runInProcesses(ctx context.Context, workers, n int) (float64, error) {
	all := make([]*noopWorker, workers)
	for i := range all {
		var err error
		if all[i], err = l.startNoop(brokerDB); err != nil {
			return 0, err
		}
	}
	begun := time.Now()
	for _, w := range all {
		if err := w.begin(); err != nil {
			return 0, err
		}
	}
	ctx, cancel := context.WithTimeoutCause(ctx, runPatience, errors.New("the worker processes did not run all tasks"))
	defer cancel()
	for {
		ran := 0
		for _, w := range all {
			ran += int(w.count.Load())
		}
		if ran >= n {
			break
		}
		if err := pause(ctx, 2*time.Millisecond); err != nil {
			return 0, fmt.Errorf("%d of %d: %w", ran, n, err)
		}
	}
	return float64(n) / time.Since(begun).Seconds(), nil
}
