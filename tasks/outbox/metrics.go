package outbox

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"gorm.io/gorm"

	"github.com/paidui/paidui/models"
)

// counters are what this process has done.
type counters struct{ sent, resent, failed prometheus.Counter }

func newCounters() counters {
	count := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: "paidui_outbox_" + name + "_total", Help: help})
	}
	return counters{
		sent:   count("sent", "Tasks that this process has sent from the outbox to Redis."),
		resent: count("resent", "Tasks that this process has sent again, because Redis had lost them."),
		failed: count("failed", "Tasks that this process has given up, because they can't be sent."),
	}
}

func (c counters) register(reg prometheus.Registerer) error {
	if reg == nil {
		return nil
	}
	err := errors.Join(reg.Register(c.sent), reg.Register(c.resent), reg.Register(c.failed))
	if err != nil {
		return fmt.Errorf("register outbox metrics: %w", err)
	}
	return nil
}

// Backlog reports the size of an outbox each time metrics are read: paidui_outbox_rows{state}, where the state is
// waiting (for Redis), sent (and not known to have ended) or failed (given up), counted up to 100,000; and
// paidui_outbox_oldest_seconds, the age of the oldest row that waits, 0 without one.
type Backlog struct {
	db     *gorm.DB
	logger *slog.Logger
	rows   *prometheus.Desc
	oldest *prometheus.Desc
}

// NewBacklog makes a collector, to be registered by the caller in one kind of process: all would report the same.
func NewBacklog(db *gorm.DB, logger *slog.Logger) *Backlog {
	return &Backlog{
		db:     db,
		logger: logger,
		rows: prometheus.NewDesc("paidui_outbox_rows",
			"Tasks in the outbox, by state, counted up to 100,000.", []string{"state"}, nil),
		oldest: prometheus.NewDesc("paidui_outbox_oldest_seconds",
			"Age of the oldest task in the outbox that waits to be sent.", nil, nil),
	}
}

// Describe implements prometheus.Collector.
func (b *Backlog) Describe(ch chan<- *prometheus.Desc) {
	ch <- b.rows
	ch <- b.oldest
}

const (
	maxCount    = 100_000 // rows that a scrape counts of one state
	scrapeLimit = 2 * time.Second
)

// Collect implements prometheus.Collector. Without the database it reports nothing.
func (b *Backlog) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), scrapeLimit)
	defer cancel()
	db := b.db.Session(&gorm.Session{NewDB: true, Context: ctx})
	table := func() *gorm.DB { return db.Model(&models.OutboxRow{}) }
	for state, condition := range map[string]string{
		"waiting": waiting,
		"sent":    "sent_at IS NOT NULL",
		"failed":  "sent_at IS NULL AND failed_at IS NOT NULL",
	} {
		var n int64
		some := table().Select("id").Where(condition).Limit(maxCount)
		if err := db.Table("(?) AS some", some).Count(&n).Error; err != nil {
			b.logger.Warn("outbox metrics are missing", "error", err)
			return
		}
		ch <- prometheus.MustNewConstMetric(b.rows, prometheus.GaugeValue, float64(n), state)
	}
	var oldest []time.Time
	if err := table().Where(waiting).Order("id").Limit(1).Pluck("created_at", &oldest).Error; err != nil {
		b.logger.Warn("outbox metrics are missing", "error", err)
		return
	}
	var age time.Duration
	if len(oldest) > 0 {
		age = max(time.Since(oldest[0]), 0)
	}
	ch <- prometheus.MustNewConstMetric(b.oldest, prometheus.GaugeValue, age.Seconds())
}
