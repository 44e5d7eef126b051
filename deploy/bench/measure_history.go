package main

import (
	"context"
	"errors"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/paidui/paidui/tasks"
	"github.com/paidui/paidui/tasks/history"
)

// measureHistory measures how much of the speed is left when each task is kept in the history: of tasks that are enqueued
// and run at the same time, and of a backlog that is enqueued, and then run. The database syncs at each commit, and the time
// ends when the last record is written.
func measureHistory(ctx context.Context, l *lab) ([]measurement, error) {
	n := l.pick(100_000, 20_000)
	var kept, plain [3][]float64
	for range l.rounds() {
		if err := l.historyRound(ctx, n, l.openHistory, &kept); err != nil {
			return nil, err
		}
		if err := l.historyRound(ctx, n, nothingKept, &plain); err != nil {
			return nil, err
		}
	}
	list := make([]measurement, len(kept))
	for i := range list {
		list[i] = measurement{value: median(kept[i]), baseline: median(plain[i])}
	}
	return list, nil
}

func (l *lab) historyRound(ctx context.Context, n int, open recorder, figures *[3][]float64) error {
	flow, err := l.flow(ctx, n, open)
	if err != nil {
		return err
	}
	enqueued, ran, err := l.enqueueAndRun(ctx, n, open)
	for i, rate := range []float64{flow, enqueued, ran} {
		figures[i] = append(figures[i], rate)
	}
	return err
}

// recorder opens what a process keeps its tasks' history with.
type recorder func(ctx context.Context) (*keeper, error)

// keeper keeps the history of tasks, or does nothing.
type keeper struct {
	tasks.Recorder
	written func() error // returns when all is written
	close   func()
}

func nothingKept(context.Context) (*keeper, error) {
	return &keeper{
		written: func() error { return nil },
		close:   func() {},
	}, nil
}

// openHistory is the keeper on the shop's database.
func (l *lab) openHistory(ctx context.Context) (*keeper, error) {
	db, err := l.openShop(ctx)
	if err != nil {
		return nil, err
	}
	k := &keeper{close: func() { closeShop(db) }}
	w, err := history.NewWriter(db, history.Options{})
	if err != nil {
		k.close()
		return nil, err
	}
	k.Recorder, k.written = w, func() error { return w.Close(ctx) }
	return k, nil
}

// inFlight is how many tasks of a flow are on their way at most.
const inFlight = 1000

// flow enqueues n tasks while a worker runs them, and returns how many went through in a second.
func (l *lab) flow(ctx context.Context, n int, open recorder) (rate float64, err error) {
	if err := l.flush(ctx); err != nil {
		return 0, err
	}
	p, err := newPaidui(ctx, l.redisURL(brokerDB), l.logLevel, withoutResult)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, p.close()) }()
	keep, err := open(ctx)
	if err != nil {
		return 0, err
	}
	defer keep.close()
	p.keep(keep.Recorder)
	runtime.GC()
	begun := time.Now()
	places := make(chan struct{}, inFlight)
	stop, err := p.serve(func(int) { <-places })
	if err != nil {
		return 0, errors.Join(err, keep.written())
	}
	err = inFlow(ctx, n, func(i int) error {
		places <- struct{}{}
		return p.enqueue(ctx, i, time.Time{})
	})
	for range inFlight { // all have run when every place is free
		if err == nil {
			select {
			case places <- struct{}{}:
			case <-time.After(runPatience):
				err = errors.New("not all tasks of the flow have run")
			}
		}
	}
	err = errors.Join(err, stop(), keep.written())
	return float64(n) / time.Since(begun).Seconds(), err
}

// inFlow calls f with 0 to n-1 from 64 goroutines.
func inFlow(ctx context.Context, n int, f func(i int) error) error {
	var next atomic.Int64
	return together(producers, func() error {
		for {
			i := int(next.Add(1)) - 1
			if i >= n || ctx.Err() != nil {
				return context.Cause(ctx)
			}
			if err := f(i); err != nil {
				return err
			}
		}
	})
}

// enqueueAndRun puts n tasks into an empty queue and runs them, as two processes would. It returns how many were
// enqueued, and how many ran, in a second.
func (l *lab) enqueueAndRun(ctx context.Context, n int, open recorder) (enqueued, ran float64, err error) {
	if err := l.flush(ctx); err != nil {
		return 0, 0, err
	}
	p, err := newPaidui(ctx, l.redisURL(brokerDB), l.logLevel, withoutResult)
	if err != nil {
		return 0, 0, err
	}
	defer func() { err = errors.Join(err, p.close()) }()
	side := func(work func() error) (rate float64, err error) {
		keep, err := open(ctx)
		if err != nil {
			return 0, err
		}
		defer keep.close()
		p.keep(keep.Recorder)
		runtime.GC()
		begun := time.Now()
		err = errors.Join(work(), keep.written())
		return float64(n) / time.Since(begun).Seconds(), err
	}
	if enqueued, err = side(func() error { return fill(ctx, p, n) }); err != nil {
		return 0, 0, err
	}
	ran, err = side(func() error {
		_, err := runAll(ctx, p, n)
		return err
	})
	return enqueued, ran, err
}
