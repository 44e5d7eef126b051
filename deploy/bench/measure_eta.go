package main

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"
)

// measureETA runs both sides at the same time: there is little to do but to wait.
func measureETA(ctx context.Context, l *lab) ([]measurement, error) {
	if err := l.flush(ctx); err != nil {
		return nil, err
	}
	type outcome struct {
		late []float64
		err  error
	}
	sides := []struct {
		open opener
		db   int
		got  chan outcome
	}{{openPaidui, brokerDB, make(chan outcome, 1)}, {openPlain, plainDB, make(chan outcome, 1)}}
	for _, side := range sides {
		go func() {
			late, err := lateness(ctx, l, side.open, side.db)
			side.got <- outcome{late, err}
		}()
	}
	ours, theirs := <-sides[0].got, <-sides[1].got
	if err := errors.Join(ours.err, theirs.err); err != nil {
		return nil, err
	}
	return []measurement{
		{percentile(ours.late, 0.99), percentile(theirs.late, 0.99)},
		{early(ours.late), early(theirs.late)},
	}, nil
}

// lateness enqueues tasks for random times of a span and says by how many seconds each began too late; a negative
// number is too early.
func lateness(ctx context.Context, l *lab, open opener, db int) (late []float64, err error) {
	n := l.pick(1000, 200)
	after, span := time.Duration(l.pick(10, 2))*time.Second, time.Duration(l.pick(10, 2))*time.Second
	q, err := open(ctx, l, db, withoutResult)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, q.close()) }()
	type start struct {
		n  int
		at time.Time
	}
	starts := make(chan start, n)
	stop, err := q.serve(func(i int) { starts <- start{i, time.Now()} })
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, stop()) }()
	first := time.Now().Add(after)
	due := make([]time.Time, n)
	for i := range due {
		due[i] = first.Add(rand.N(span))
		if err := q.enqueue(ctx, i, due[i]); err != nil {
			return nil, err
		}
	}
	ctx, cancel := context.WithTimeoutCause(ctx, after+span+30*time.Second, errors.New("tasks are missing long after they were due"))
	defer cancel()
	for range n {
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case s := <-starts:
			late = append(late, s.at.Sub(due[s.n]).Seconds())
		}
	}
	return late, nil
}

func early(late []float64) float64 {
	n := 0
	for _, l := range late {
		if l < 0 {
			n++
		}
	}
	return float64(n)
}
