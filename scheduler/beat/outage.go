package beat

import (
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"
)

// outage follows whether the broker and the database answer. All parts of a scheduler, which are its entries and its
// announcements, share one: a broker that is away is one line of log every now and then, and not one for each part and
// attempt. An outage lasts until all parts that it stopped were answered: a durable entry waits for the database while the
// others go on. It is safe for concurrent use.
type outage struct {
	logger *slog.Logger

	mu       sync.Mutex
	waiting  map[string]error // by each part that waits, its last error
	since    time.Time        // zero while none waits
	logged   time.Time
	failures int
}

const outageLogInterval = 30 * time.Second

func newOutage(logger *slog.Logger) *outage {
	return &outage{logger: logger, waiting: make(map[string]error)}
}

func (o *outage) failed(part string, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	now := time.Now()
	if len(o.waiting) == 0 {
		o.since = now
	}
	o.waiting[part] = err
	o.failures++
	if now.Sub(o.logged) >= outageLogInterval {
		o.logged = now
		o.logger.Error("the broker, or the database of a durable schedule, does not answer: ticks wait, and then follow their misfire rule",
			"error", err, "failures", o.failures, "for", now.Sub(o.since).Round(time.Millisecond))
	}
}

func (o *outage) answered(part string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	since, failures := o.since, o.failures
	if o.remove(part) {
		o.logged = time.Time{}
		o.logger.Info("the broker and the database answer again", "failures", failures, "after", time.Since(since).Round(time.Millisecond))
	}
}

// forget is for a part that ends, answered or not.
func (o *outage) forget(part string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.remove(part)
}

// remove reports whether the part was the last that waited.
func (o *outage) remove(part string) bool {
	if _, waits := o.waiting[part]; !waits {
		return false
	}
	delete(o.waiting, part)
	if len(o.waiting) > 0 {
		return false
	}
	o.since, o.failures = time.Time{}, 0
	return true
}

// current is an error while a part waits.
func (o *outage) current() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, part := range slices.Sorted(maps.Keys(o.waiting)) {
		return o.waiting[part]
	}
	return nil
}
