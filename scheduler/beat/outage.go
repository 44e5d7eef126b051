package beat

import (
	"log/slog"
	"sync"
	"time"
)

// outage follows whether the broker answers. All entries of a scheduler share one, so that a broker that is away is one
// line of log every now and then, and not one for each entry and attempt.
type outage struct {
	logger *slog.Logger

	mu       sync.Mutex
	since    time.Time // zero while the broker answers
	logged   time.Time
	failures int
	err      error
}

const outageLogInterval = 30 * time.Second

func (o *outage) failed(err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	now := time.Now()
	if o.since.IsZero() {
		o.since = now
	}
	o.err = err
	o.failures++
	if now.Sub(o.logged) >= outageLogInterval {
		o.logged = now
		o.logger.Error("the broker, or the database of a durable schedule, does not answer: ticks wait, and then follow their misfire rule",
			"error", err, "failures", o.failures, "for", now.Sub(o.since).Round(time.Millisecond))
	}
}

func (o *outage) answered() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.since.IsZero() {
		return
	}
	o.logger.Info("the broker and the database answer again", "failures", o.failures, "after", time.Since(o.since).Round(time.Millisecond))
	o.since, o.logged, o.failures, o.err = time.Time{}, time.Time{}, 0, nil
}

// current is the last error while the broker is away.
func (o *outage) current() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.err
}
