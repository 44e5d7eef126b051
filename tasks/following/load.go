package following

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/paidui/paidui/models/cache"
	"github.com/paidui/paidui/models/redisx"
)

const (
	loadLease = 10 * time.Second       // from chunk to chunk
	loadLimit = time.Minute            // of a whole load
	freshLife = time.Minute            // of a set that is being filled, from chunk to chunk; then it is dropped
	readBatch = 5000                   // rows of a query
	putBatch  = 1000                   // entries of a script
	patience  = 500 * time.Millisecond // of a reader whose list is being loaded
)

// outcome of a load.
type outcome string

const (
	there   outcome = "loaded" // by whomever; it may have gone again
	busy    outcome = "busy"   // somebody loads, and takes long
	refused outcome = "refused"
)

// ensure has the list loaded, by this process or another, and waits for it, but not for long. Concurrent calls in a
// process share one load. An error is Redis's or the database's.
func (f *Followings) ensure(ctx context.Context, l list) (outcome, error) {
	done := f.loads.DoChan(strconv.FormatInt(int64(l), 10), func() (got any, err error) {
		ended := make(chan struct{})
		if !f.store.Go(ctx, func(ctx context.Context) {
			defer close(ended)
			ctx, cancel := context.WithTimeout(ctx, loadLimit)
			defer cancel()
			got, err = f.loadOrWait(ctx, l)
		}) {
			return refused, cache.ErrClosed
		}
		<-ended
		return got, err
	})
	enough := time.NewTimer(f.patience)
	defer enough.Stop()
	select {
	case <-ctx.Done():
		return refused, context.Cause(ctx)
	case <-enough.C:
		return busy, nil
	case r := <-done:
		return r.Val.(outcome), r.Err
	}
}

// loadOrWait loads the list, or waits for another who does.
func (f *Followings) loadOrWait(ctx context.Context, l list) (outcome, error) {
	deadline := time.Now().Add(f.patience)
	for pause := 5 * time.Millisecond; ; pause = min(2*pause, 50*time.Millisecond) {
		got, err := f.load(ctx, l)
		if err != nil || got != busy || time.Now().After(deadline) {
			return got, err
		}
		if err := f.sleep(ctx, pause); err != nil {
			return busy, err
		}
	}
}

// load loads the list unless it is there or another loads it.
func (f *Followings) load(ctx context.Context, l list) (outcome, error) {
	token := redisx.NewLeaseToken()
	answer, err := f.run(ctx, acquireScript, l.keys(), token, loadLease.Milliseconds())
	if err != nil {
		return refused, err
	}
	got, ok := answer.(string)
	switch {
	case !ok:
		return refused, errAnswer
	case got != "mine":
		return outcome(got), nil
	}
	begun := time.Now()
	n, filled, err := f.fill(ctx, l, token)
	if err != nil {
		f.meter.Failed()
	} else {
		f.meter.Loaded(time.Since(begun), filled)
	}
	if err != nil || !filled {
		release, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		if _, err := f.runBool(release, releaseScript, l.keys(l.fresh(token)), token); err != nil {
			f.log.DebugContext(ctx, "a load of followings was not given up; it ends by itself", "user_id", int64(l), "error", err)
		}
		return refused, err
	}
	f.log.DebugContext(ctx, "followings loaded", "user_id", int64(l), "entries", n, "elapsed", time.Since(begun))
	return there, nil
}

// fill copies the rows, newest first, into a new set, and has that become the list. It tells how many entries the list
// has, and false when the lease was lost.
func (f *Followings) fill(ctx context.Context, l list, token string) (n int, filled bool, err error) {
	var at place
	var edge time.Time // of the oldest entry within the bound
	state := "empty"
	for state != "more" {
		var entries []Entry
		err := f.store.Load(ctx, func(ctx context.Context) (err error) {
			entries, at, err = f.rows.newest(ctx, int64(l), at, min(readBatch, f.bound+1))
			return err
		})
		if err != nil {
			return n, false, fmt.Errorf("loading the followings of user %d: %w", l, err)
		}
		if len(entries) == 0 {
			break
		}
		fit := min(len(entries), max(f.bound-n, 0))
		if fit > 0 {
			edge = entries[fit-1].At
		}
		for fit < len(entries) && entries[fit].At.Equal(edge) {
			fit++ // of entries of the same time Redis decides which are beyond the bound
		}
		for chunk := range slices.Chunk(entries[:fit], putBatch) {
			if ok, err := f.put(ctx, l, token, chunk); err != nil || !ok {
				return n, false, err
			}
		}
		n += fit
		if state = "whole"; fit < len(entries) {
			state = "more"
		}
	}
	if n > f.bound {
		n, state = f.bound, "more"
	}
	filled, err = f.runBool(ctx, fillScript, l.keys(l.fresh(token)), token, state, n, newLife().Milliseconds())
	return n, filled, err
}

// put adds entries to the new set, and prolongs the lease.
func (f *Followings) put(ctx context.Context, l list, token string, entries []Entry) (bool, error) {
	args := make([]any, 0, 4+2*len(entries))
	args = append(args, token, loadLease.Milliseconds(), freshLife.Milliseconds(), f.bound)
	for _, e := range entries {
		args = append(args, e.score(), e.Target)
	}
	return f.runBool(ctx, putScript, l.keys(l.fresh(token)), args...)
}
