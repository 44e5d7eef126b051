package main

import (
	"context"
	"time"
)

// settle is how long a worker is given to come to rest.
func (l *lab) settle() time.Duration { return time.Duration(l.pick(5, 2)) * time.Second }

func measureIdle(ctx context.Context, l *lab) (measurement, error) {
	window := time.Duration(l.pick(20, 5)) * time.Second
	value, err := idleWorker(ctx, l, window)
	if err != nil {
		return measurement{}, err
	}
	baseline, err := idlePlain(ctx, l, window)
	return measurement{value, baseline}, err
}

// idleWorker asks the real worker, with its default queues, of which there are five.
func idleWorker(ctx context.Context, l *lab, window time.Duration) (float64, error) {
	if err := l.flush(ctx); err != nil {
		return 0, err
	}
	if _, err := l.startWorker(ctx); err != nil {
		return 0, err
	}
	defer l.endRow()
	return l.commandsPerSecond(ctx, window)
}

func idlePlain(ctx context.Context, l *lab, window time.Duration) (float64, error) {
	return withQueue(ctx, l, openPlain, withoutResult, func(q queue) (float64, error) {
		queues := map[string]int{"sms": 6, "seckill": 6, "default": 3, "cache": 2, "low": 1}
		stop, err := q.(*plain).serveQueues(queues, func(int) {})
		if err != nil {
			return 0, err
		}
		defer stop()
		return l.commandsPerSecond(ctx, window)
	})
}

// commandsPerSecond is the rate over a window of whole seconds after things have settled.
func (l *lab) commandsPerSecond(ctx context.Context, window time.Duration) (float64, error) {
	if err := pause(ctx, l.settle()); err != nil {
		return 0, err
	}
	n, err := l.commandsDuring(ctx, func() error { return pause(ctx, window) })
	return float64(n) / window.Seconds(), err
}
