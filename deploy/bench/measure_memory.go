package main

import (
	"context"
	"fmt"
	"time"

	"github.com/hibiken/asynq"

	"github.com/paidui/paidui/tasks"
	"github.com/paidui/paidui/tasks/broker"
	"github.com/paidui/paidui/tasks/demo"
)

// measureMemory looks at the real worker as the kernel sees it: at rest, and its peak while it runs a backlog of
// demo.add.
func measureMemory(ctx context.Context, l *lab) ([]measurement, error) {
	if err := l.flush(ctx); err != nil {
		return nil, err
	}
	worker, err := l.startWorker(ctx, "-c", "1000")
	if err != nil {
		return nil, err
	}
	if err := pause(ctx, l.settle()); err != nil {
		return nil, err
	}
	idle, err := worker.memory("VmRSS")
	if err != nil {
		return nil, err
	}
	worker.stop()

	backlog := l.pick(200_000, 30_000)
	if err := addDemos(ctx, l, backlog); err != nil {
		return nil, err
	}
	if worker, err = l.startWorker(ctx, "-c", "1000"); err != nil {
		return nil, err
	}
	if err := awaitDone(ctx, l, backlog); err != nil {
		return nil, err
	}
	full, err := worker.memory("VmHWM")
	return []measurement{{value: idle}, {value: full}}, err
}

func addDemos(ctx context.Context, l *lab, n int) error {
	b, err := broker.Open(ctx, l.redisURL(brokerDB), broker.Options{})
	if err != nil {
		return err
	}
	defer b.Close()
	client := tasks.NewClient(b)
	return together(producers, func() error {
		for range n / producers {
			if _, err := demo.Add.Enqueue(ctx, client, demo.AddArgs{N: 10, M: 20}); err != nil {
				return err
			}
		}
		return nil
	})
}

// awaitDone waits until the queue "default" has nothing left to do.
func awaitDone(ctx context.Context, l *lab, n int) error {
	redis, err := asynq.ParseRedisURI(l.redisURL(brokerDB))
	if err != nil {
		return err
	}
	inspector := asynq.NewInspector(redis)
	defer inspector.Close()
	ctx, cancel := context.WithTimeoutCause(ctx, runPatience, fmt.Errorf("%d tasks are not done after %v", n, runPatience))
	defer cancel()
	for {
		switch todo, err := left(inspector); {
		case err != nil:
			return err
		case todo == 0:
			return nil
		}
		if err := pause(ctx, 100*time.Millisecond); err != nil {
			return err
		}
	}
}
