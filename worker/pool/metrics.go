package pool

import (
	"context"
	"log/slog"
	"time"

	"github.com/hibiken/asynq"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/paidui/paidui/tasks/broker"
)

// QueueMetrics reports the size of every queue, by state, each time metrics are read: paidui_queue_tasks{queue,state}
// and paidui_queue_latency_seconds{queue}, the age of the oldest task that waits.
type QueueMetrics struct {
	broker    *broker.Broker
	inspector *asynq.Inspector
	logger    *slog.Logger
	size      *prometheus.Desc
	latency   *prometheus.Desc
}

// NewQueueMetrics makes a collector, to be registered by the caller.
func NewQueueMetrics(b *broker.Broker, logger *slog.Logger) *QueueMetrics {
	return &QueueMetrics{
		broker:    b,
		inspector: asynq.NewInspectorFromRedisClient(b.Redis()),
		logger:    logger,
		size: prometheus.NewDesc("paidui_queue_tasks",
			"Tasks in a queue, by asynq's state.", []string{"queue", "state"}, nil),
		latency: prometheus.NewDesc("paidui_queue_latency_seconds",
			"Age of the oldest pending task of a queue.", []string{"queue"}, nil),
	}
}

// Describe implements prometheus.Collector.
func (q *QueueMetrics) Describe(ch chan<- *prometheus.Desc) {
	ch <- q.size
	ch <- q.latency
}

// scrapeLimit bounds how long our own questions may take.
const scrapeLimit = 5 * time.Second

// Collect implements prometheus.Collector. Without Redis it reports nothing.
func (q *QueueMetrics) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), scrapeLimit)
	defer cancel()
	queues, err := q.inspector.Queues()
	if err != nil {
		q.logger.Warn("queue metrics are missing", "error", err)
		return
	}
	for _, name := range queues {
		info, err := q.inspector.GetQueueInfo(name)
		if err != nil {
			q.logger.Warn("queue metrics are missing", "queue", name, "error", err)
			continue
		}
		others, since, err := q.broker.Prioritized(ctx, name)
		if err != nil {
			q.logger.Warn("queue metrics are missing", "queue", name, "error", err)
			continue
		}
		latency := info.Latency
		if !since.IsZero() {
			latency = max(latency, time.Since(since))
		}
		for state, n := range map[string]int{
			"pending": info.Pending + others, "active": info.Active, "scheduled": info.Scheduled,
			"retry": info.Retry, "archived": info.Archived, "completed": info.Completed,
		} {
			ch <- prometheus.MustNewConstMetric(q.size, prometheus.GaugeValue, float64(n), name, state)
		}
		ch <- prometheus.MustNewConstMetric(q.latency, prometheus.GaugeValue, latency.Seconds(), name)
	}
}
