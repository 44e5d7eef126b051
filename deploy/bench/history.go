package main

import (
	"context"
	"errors"
	"runtime"
	"time"

	"github.com/paidui/paidui/tasks"
	"github.com/paidui/paidui/tasks/history"
)

// measureHistory measures how much of the speed is left when each task is kept in the history: enqueued by 64 goroutines,
// and run as a backlog. The time ends when the last record is written, to a database that syncs at each commit.
func measureHistory(ctx context.Context, l *lab) ([]measurement, error) {
	n := l.pick(100_000, 20_000)
	var enqueues, runs, plainEnqueues, plainRuns []float64
	for range l.rounds() {
		enqueued, ran, err := l.enqueueAndRun(ctx, n, l.openHistory)
		if err != nil {
			return nil, err
		}
		enqueues, runs = append(enqueues, enqueued), append(runs, ran)
		if enqueued, ran, err = l.enqueueAndRun(ctx, n, nothingKept); err != nil {
			return nil, err
		}
		plainEnqueues, plainRuns = append(plainEnqueues, enqueued), append(plainRuns, ran)
	}
	return []measurement{
		{value: median(enqueues), baseline: median(plainEnqueues)}, {value: median(runs), baseline: median(plainRuns)},
	}, nil
}

// recorder opens what a process keeps its tasks' history with; written returns when all is written.
type recorder func(ctx context.Context) (r tasks.Recorder, written func() error, err error)

func nothingKept(context.Context) (tasks.Recorder, func() error, error) {
	return nil, func() error { return nil }, nil
}

// openHistory is the recorder on the shop's database.
func (l *lab) openHistory(ctx context.Context) (tasks.Recorder, func() error, error) {
	db, err := l.openShop(ctx)
	if err != nil {
		return nil, nil, err
	}
	w, err := history.NewWriter(db, history.Options{})
	if err != nil {
		closeShop(db)
		return nil, nil, err
	}
	return w, func() error {
		defer closeShop(db)
		return w.Close(ctx)
	}, nil
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
	side := func(work func() error) (float64, error) {
		keep, written, err := open(ctx)
		if err != nil {
			return 0, err
		}
		p.keep(keep)
		runtime.GC()
		begun := time.Now()
		err = errors.Join(work(), written())
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
