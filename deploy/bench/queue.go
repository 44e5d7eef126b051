package main

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// queue is one of the two that are compared, with its connection to the private Redis and tasks that carry a number.
type queue interface {
	// enqueue puts a task into the queue, for the time if that is not zero.
	enqueue(ctx context.Context, n int, due time.Time) error
	// serve runs tasks in 64 slots until stop.
	serve(handle func(n int)) (stop func() error, err error)
	// left counts the tasks that have not ended well.
	left() (int, error)
	close() error
}

// opener connects to a database of the private Redis.
type opener func(ctx context.Context, l *lab, db int, kind taskKind) (queue, error)

// taskKind is what a task leaves behind.
type taskKind int

const (
	withoutResult taskKind = iota
	withResult             // kept for an hour
)

const (
	slots     = 64 // of a worker
	producers = 64 // goroutines that enqueue
)

// fill enqueues n tasks, numbered from 0, by 64 goroutines.
func fill(ctx context.Context, q queue, n int) error {
	var (
		group sync.WaitGroup
		next  atomic.Int64
		once  sync.Once
		first error
	)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for range producers {
		group.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				if err := q.enqueue(ctx, i, time.Time{}); err != nil {
					once.Do(func() { first = err; cancel() })
					return
				}
			}
		})
	}
	group.Wait()
	return first
}
