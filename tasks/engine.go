package tasks

import (
	"errors"
	"time"

	"github.com/hibiken/asynq"
)

// How often asynq's own loops look, on a connection where broker.Fetcher answers for an empty queue. They cost nothing
// there: the fetcher waits when there is nothing to fetch, and lets one forward call a second through.
const (
	fetchInterval   = 100 * time.Microsecond
	forwardInterval = 50 * time.Millisecond
)

// Engine completes the configuration of an asynq server that runs a Mux on a broker.Fetcher: when failed attempts are
// repeated, which failures count, and how often asynq looks for work. It sets those fields and leaves the others.
func Engine(cfg asynq.Config) asynq.Config {
	cfg.TaskCheckInterval = fetchInterval
	cfg.DelayedTaskCheckInterval = forwardInterval
	cfg.RetryDelayFunc = retryDelay
	cfg.IsFailure = countsAsFailure
	return cfg
}

// retryDelay is the wait before the next attempt of a task that failed n times before. A run that died with its worker
// is repeated at once.
func retryDelay(n int, err error, t *asynq.Task) time.Duration {
	if errors.Is(err, asynq.ErrLeaseExpired) {
		return 0
	}
	now := time.Now()
	return ceilSecond(now.Add(parseHeaders(t.Headers()).backoff.delay(n))).Sub(now)
}

// countsAsFailure tells which errors cost a retry: all but the death of a worker.
func countsAsFailure(err error) bool { return !errors.Is(err, asynq.ErrLeaseExpired) }
