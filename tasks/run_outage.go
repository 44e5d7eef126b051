package tasks

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync/atomic"
	"time"
)

// The pauses of attempts that are snoozed for their errors: half of how long the trouble has lasted, within these bounds,
// less up to half of it, so that tasks that have waited together come back apart.
const (
	leastPause = 500 * time.Millisecond
	mostPause  = 10 * time.Second
)

// outage is how long the attempts of one definition have been snoozed for their errors in this process. All tasks of the
// definition share it, since they wait for the same store. The zero value is none.
type outage struct {
	since atomic.Int64 // Unix ns of the first such attempt; 0 when the last one went otherwise
}

// pause is how long an attempt waits that is snoozed now.
func (o *outage) pause(now time.Time) time.Duration {
	o.since.CompareAndSwap(0, now.UnixNano())
	lasted := now.Sub(time.Unix(0, o.since.Load()))
	bound := min(max(lasted/2, leastPause), mostPause)
	return bound - rand.N(bound/2)
}

// over ends the outage, and tells how long it was; 0 when there was none.
func (o *outage) over(now time.Time) time.Duration {
	if o.since.Load() == 0 {
		return 0
	}
	since := o.since.Swap(0)
	if since == 0 {
		return 0
	}
	return max(now.Sub(time.Unix(0, since)), 1)
}

// snoozes reports whether the definition's rules snooze an attempt that failed with err.
func (a *attempt) snoozes(err error) bool {
	return a.binding != nil && !IsPermanent(err) && a.binding.retry.snoozes(a.mux.storeAway, err)
}

// noteOutage ends the outage of the attempt's definition when the attempt has come to something else.
func (a *attempt) noteOutage(ctx context.Context, v verdict) {
	if a.binding == nil || a.startedAt.IsZero() || v.outcome != succeeded && v.outcome != retrying && v.outcome != failed {
		return
	}
	if lasted := a.binding.outage.over(time.Now()); lasted > 0 {
		a.mux.logger.InfoContext(ctx, "tasks go on that waited for a store", "task", a.Name, slog.String("after", lasted.Round(time.Millisecond).String()))
	}
}

// snoozeText is the error of a snoozed attempt as it is stored: "" when its handler asked to be snoozed.
func snoozeText(err error) string {
	var asked *delayError
	if errors.As(err, &asked) {
		return ""
	}
	return storableText(err)
}
