package history

import (
	"context"
	"database/sql"
	"errors"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Backlog reports, each time metrics are read: paidui_history_waiting, how many records are of tasks that wait (PENDING),
// counted up to 100,000; and paidui_history_settle_lag_seconds, for how long the most overdue bundle of an earlier build has
// waited to be turned into rows, 0 without one.
type Backlog struct {
	store   *Store
	logger  *slog.Logger
	waiting *prometheus.Desc
	lag     *prometheus.Desc
}

// NewBacklog makes a collector, to be registered by the caller in one kind of process: all would report the same.
func NewBacklog(s *Store, logger *slog.Logger) *Backlog {
	return &Backlog{
		store:  s,
		logger: logger,
		waiting: prometheus.NewDesc("paidui_history_waiting",
			"Records of tasks that wait, counted up to 100,000.", nil, nil),
		lag: prometheus.NewDesc("paidui_history_settle_lag_seconds",
			"Time for which the most overdue bundle of an earlier build has waited to be turned into rows.", nil, nil),
	}
}

// Describe implements prometheus.Collector.
func (b *Backlog) Describe(ch chan<- *prometheus.Desc) {
	ch <- b.waiting
	ch <- b.lag
}

const (
	maxWaiting  = 100_000 // records that a scrape counts
	scrapeLimit = 2 * time.Second
)

// Collect implements prometheus.Collector. Without the database it reports nothing.
func (b *Backlog) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), scrapeLimit)
	defer cancel()
	waiting, err := b.store.waiting(ctx)
	if err == nil {
		var lag time.Duration
		if lag, err = b.store.settleLag(ctx); err == nil {
			ch <- prometheus.MustNewConstMetric(b.waiting, prometheus.GaugeValue, float64(waiting))
			ch <- prometheus.MustNewConstMetric(b.lag, prometheus.GaugeValue, lag.Seconds())
			return
		}
	}
	b.logger.Warn("history metrics are missing", "error", err)
}

// waiting counts the records of tasks that wait.
func (s *Store) waiting(ctx context.Context) (waiting int, err error) {
	kinds, err := s.kinds(ctx, "")
	if err != nil {
		return 0, err
	}
	statement := "SELECT COUNT(*) FROM (SELECT 1 FROM paidui_task_records " + s.table.dialect.kindIndex +
		" WHERE task = ? AND queue = ? AND state = ? LIMIT ?) k"
	for _, k := range kinds {
		if k.state != statePending || waiting >= maxWaiting {
			continue
		}
		var n int
		if err := s.table.pool.QueryRowContext(ctx, statement, k.task, k.queue, k.state, maxWaiting-waiting).Scan(&n); err != nil {
			return 0, err
		}
		waiting += n
	}
	return waiting, nil
}

func (s *Store) settleLag(ctx context.Context) (lag time.Duration, err error) {
	for _, old := range []bool{false, true} {
		var due time.Time
		err := s.table.pool.QueryRowContext(ctx, "SELECT look_at FROM paidui_task_bundles WHERE old = ? ORDER BY look_at LIMIT 1", old).Scan(&due)
		switch {
		case err == nil:
			lag = max(lag, s.now().Sub(due))
		case !errors.Is(err, sql.ErrNoRows):
			return 0, err
		}
	}
	return lag, nil
}
