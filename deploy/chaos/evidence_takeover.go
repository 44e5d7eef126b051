package main

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"
)

// takeovers measures how long the tasks of killed workers take to be run by others.
type takeovers struct {
	lab     *lab
	running sync.WaitGroup

	mu    sync.Mutex
	times []time.Duration
}

func newTakeovers(l *lab) *takeovers { return &takeovers{lab: l} }

const (
	takeoverLook  = 200 * time.Millisecond
	takeoverLimit = 3 * time.Minute
)

// begin notes what the worker has in hand, which is about to be killed.
func (t *takeovers) begin(ctx context.Context, worker string) {
	snapshot, err := readQueues(ctx, t.lab.broker)
	if err != nil {
		return // Redis is away: nothing to measure
	}
	for id, where := range snapshot.where {
		if !slices.Contains(where, "active") {
			continue
		}
		if now, err := taskOf(t.get(ctx, id)); err == nil && now.Worker == worker && now.State == "STARTED" {
			t.running.Go(func() { t.follow(ctx, id, time.Now()) })
		}
	}
}

func (t *takeovers) get(ctx context.Context, id string) answer {
	return t.lab.clients.send(ctx, nil, ask{method: http.MethodGet, path: "/v1/tasks/" + url.PathEscape(id), bearer: operatorKey})
}

// follow waits until the task has begun anew.
func (t *takeovers) follow(ctx context.Context, id string, killed time.Time) {
	for time.Since(killed) < takeoverLimit && pause(ctx, takeoverLook) {
		a := t.get(ctx, id)
		if a.status == http.StatusNotFound {
			return // it has ended and left nothing
		}
		now, err := taskOf(a)
		if err == nil && now.StartedAt != nil && now.StartedAt.After(killed) {
			t.mu.Lock()
			t.times = append(t.times, now.StartedAt.Sub(killed))
			t.mu.Unlock()
			return
		}
	}
}

// all are the times that were measured, in order.
func (t *takeovers) all() []time.Duration {
	t.running.Wait()
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Sorted(slices.Values(t.times))
}
