package history

import (
	"context"
	"database/sql"
	"errors"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Backlog reports what is in bundles each time metrics are read: paidui_history_waiting, the tasks of which they hold the
// records, counted in up to 10,000 bundles; and paidui_history_settle_lag_seconds, for how long the most overdue one of
// them has waited for a settler, 0 without one.
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
			"Tasks whose records wait in bundles until they have ended, counted in up to 10,000 bundles.", nil, nil),
		lag: prometheus.NewDesc("paidui_history_settle_lag_seconds",
			"Time for which the most overdue bundle has waited to be looked at.", nil, nil),
	}
}

// Describe implements prometheus.Collector.
func (b *Backlog) Describe(ch chan<- *prometheus.Desc) {
	ch <- b.waiting
	ch <- b.lag
}

const (
	maxBundles  = 10_000 // that a scrape counts
	scrapeLimit = 2 * time.Second
)

// Collect implements prometheus.Collector. Without the database it reports nothing.
func (b *Backlog) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), scrapeLimit)
	defer cancel()
	waiting, lag, err := b.store.backlog(ctx)
	if err != nil {
		b.logger.Warn("history metrics are missing", "error", err)
		return
	}
	ch <- prometheus.MustNewConstMetric(b.waiting, prometheus.GaugeValue, float64(waiting))
	ch <- prometheus.MustNewConstMetric(b.lag, prometheus.GaugeValue, lag.Seconds())
}

func (s *Store) backlog(ctx context.Context) (waiting int, lag time.Duration, err error) {
	const tasks = "SELECT COALESCE(SUM(tasks), 0) FROM (SELECT tasks FROM task_bundles LIMIT ?) some"
	if err := s.table.pool.QueryRowContext(ctx, tasks, maxBundles).Scan(&waiting); err != nil {
		return 0, 0, err
	}
	for _, old := range []bool{false, true} {
		var due time.Time
		err := s.table.pool.QueryRowContext(ctx, "SELECT look_at FROM task_bundles WHERE old = ? ORDER BY look_at LIMIT 1", old).Scan(&due)
		switch {
		case err == nil:
			lag = max(lag, s.now().Sub(due))
		case !errors.Is(err, sql.ErrNoRows):
			return 0, 0, err
		}
	}
	return waiting, lag, nil
}
