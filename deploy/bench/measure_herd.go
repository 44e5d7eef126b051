package main

import (
	"context"
	"errors"
	"time"
)

// measureHerd compares what one task costs Redis with 200 idle workers and with one, beyond what they cost anyhow.
func measureHerd(ctx context.Context, l *lab) (measurement, error) {
	herd, err := commandsPerTask(ctx, l, l.pick(200, 50))
	if err != nil {
		return measurement{}, err
	}
	single, err := commandsPerTask(ctx, l, 1)
	return measurement{herd, single}, err
}

// commandsPerTask runs idle workers, each with a connection of its own, and gives them one task at a time.
func commandsPerTask(ctx context.Context, l *lab, workers int) (cost float64, err error) {
	if err := l.flush(ctx); err != nil {
		return 0, err
	}
	var ends []func() error
	defer func() {
		err = errors.Join(err, inParallel(len(ends), func(i int) error { return ends[i]() }))
	}()
	ran := make(chan struct{}, 1)
	for range workers {
		p, err := newPaidui(ctx, l.redisURL(brokerDB), l.logLevel, withoutResult)
		if err != nil {
			return 0, err
		}
		stop, err := p.serveWith(4, func(int) { ran <- struct{}{} })
		if err != nil {
			return 0, errors.Join(err, p.close())
		}
		ends = append(ends, func() error { return errors.Join(stop(), p.close()) })
	}
	producer, err := openPaidui(ctx, l, brokerDB, withoutResult)
	if err != nil {
		return 0, err
	}
	ends = append(ends, producer.close)

	// The window is a whole number of the workers' chores' intervals, all of which divide ten seconds.
	window := time.Duration(l.pick(20, 2)) * time.Second
	idle, err := l.commandsPerSecond(ctx, window)
	if err != nil {
		return 0, err
	}
	n := 0
	busy, err := l.commandsDuring(ctx, func() error {
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		end := time.After(window)
		for {
			select {
			case <-ctx.Done():
				return context.Cause(ctx)
			case <-end:
				return nil
			case <-tick.C:
			}
			n++
			if err := producer.enqueue(ctx, n, time.Time{}); err != nil {
				return err
			}
			<-ran
		}
	})
	if err != nil {
		return 0, err
	}
	return (float64(busy) - idle*window.Seconds()) / float64(n), nil
}
