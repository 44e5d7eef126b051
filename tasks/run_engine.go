package tasks

import (
	"errors"
	"time"

	"github.com/hibiken/asynq"
)

// How often asynq's own loops look, on a connection where fetch.Fetcher answers for an empty queue. They cost nothing
// there: the fetcher waits when there is nothing to fetch, and lets one forward call a second through.
const (
	fetchInterval   = 100 * time.Microsecond
	forwardInterval = 50 * time.Millisecond
)

// Engine completes the configuration of an asynq server that runs the mux on a fetch.Fetcher: when failed attempts are
// repeated, which failures count, and how often asynq looks for work. It sets those fields and leaves the others.
func (m *Mux) Engine(cfg asynq.Config) asynq.Config {
	cfg.TaskCheckInterval = fetchInterval
	cfg.DelayedTaskCheckInterval = forwardInterval
	cfg.RetryDelayFunc = m.retryDelay
	cfg.IsFailure = countsAsFailure
	return cfg
}

// retryDelay is the wait before the next attempt of a task that failed n times before. The mux has decided on it, but for
// attempts that asynq ends by itself. A run that died with its worker is repeated at once.
func (m *Mux) retryDelay(n int, err error, t *asynq.Task) time.Duration {
	if errors.Is(err, asynq.ErrLeaseExpired) {
		return 0
	}
	var delay time.Duration
	if decided, ok := err.(*repetition); ok {
		delay = decided.delay
	} else {
		delay = parseHeaders(t.Headers()).backoff.delay(n)
	}
	return time.Until(ceilSecond(m.now().Add(delay))) // asynq adds the machine's time
}

// countsAsFailure tells which errors cost a retry: all but the death of a worker and a snooze.
func countsAsFailure(err error) bool {
	if decided, ok := err.(*repetition); ok {
		return decided.counts
	}
	return !errors.Is(err, asynq.ErrLeaseExpired)
}
