package main

import (
	"context"
	"fmt"
	"time"

	"github.com/paidui/paidui/tasks"
)

// callSize is how many tasks one call of EnqueueMany makes.
const callSize = 1000

// measureEnqueueMany enqueues from one goroutine, by the thousand and one by one.
func measureEnqueueMany(ctx context.Context, l *lab) (measurement, error) {
	many := l.enqueueAlone(l.pick(200_000, 50_000), func(ctx context.Context, p *paidui, n int) error {
		calls := make([]tasks.Signature, callSize)
		for done := 0; done < n; done += callSize {
			for i := range calls {
				calls[i] = noop.Signature(args{done + i})
			}
			for _, e := range tasks.EnqueueMany(ctx, p.client, calls) {
				if e.Err != nil {
					return e.Err
				}
			}
		}
		return nil
	})
	single := l.enqueueAlone(l.pick(20_000, 5_000), func(ctx context.Context, p *paidui, n int) error {
		for i := range n {
			if err := p.enqueue(ctx, i, time.Time{}); err != nil {
				return err
			}
		}
		return nil
	})
	return alternate(ctx, l.rounds(), many, single)
}

// enqueueAlone measures how many of n tasks enqueue puts into the queue in a second, and checks that all are there.
func (l *lab) enqueueAlone(n int, enqueue func(ctx context.Context, p *paidui, n int) error) measureOnce {
	return func(ctx context.Context) (float64, error) {
		return withQueue(ctx, l, openPaidui, withoutResult, func(q queue) (float64, error) {
			begun := time.Now()
			if err := enqueue(ctx, q.(*paidui), n); err != nil {
				return 0, err
			}
			took := time.Since(begun)
			left, err := q.left()
			if err == nil && left != n {
				err = fmt.Errorf("%d tasks of %d are in the queue", left, n)
			}
			return float64(n) / took.Seconds(), err
		})
	}
}
